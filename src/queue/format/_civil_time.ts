/** A local time; a month or day beyond its range counts on, as with `Date.UTC`. */
interface LocalTime {
  year: number;
  /** From 1. */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** A moment and what the clocks of a time zone show then. */
export class CivilTime {
  readonly #format: Intl.DateTimeFormat;
  #time = 0;
  #local: LocalTime;

  /** @throws {RangeError} If there is no such time zone. */
  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    this.#local = this.#localAt(0);
  }

  /** Milliseconds since 1970. */
  get time(): number {
    return this.#time;
  }

  set time(time: number) {
    this.#time = time;
    this.#local = this.#localAt(time);
  }

  get year(): number {
    return this.#local.year;
  }

  /** From 1. */
  get month(): number {
    return this.#local.month;
  }

  get day(): number {
    return this.#local.day;
  }

  /** From 0, which is Sunday. */
  get weekday(): number {
    return new Date(asUtc(this.#local)).getUTCDay();
  }

  get hour(): number {
    return this.#local.hour;
  }

  get minute(): number {
    return this.#local.minute;
  }

  get second(): number {
    return this.#local.second;
  }

  /** Goes on by so many milliseconds. */
  add(ms: number): void {
    this.time += ms;
  }

  /**
   * Sets some of what the clocks show. A local time that clocks skip, or show twice, becomes the moment that Go's `time.Date` gives, as the server uses
   * that: by the offset in force at the local time taken for UTC, or the one in force at the moment which that offset gives.
   */
  set(change: Partial<LocalTime>): void {
    const wanted = asUtc({ ...this.#local, ...change });
    const first = this.#offsetAt(wanted);
    const second = first === 0 ? 0 : this.#offsetAt(wanted - first);
    this.time = wanted - second;
  }

  #offsetAt(time: number): number {
    return asUtc(this.#localAt(time)) - time;
  }

  #localAt(time: number): LocalTime {
    const local = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
    for (const { type, value } of this.#format.formatToParts(time)) {
      if (type in local) local[type as keyof LocalTime] = Number(value);
    }
    return local;
  }
}

function asUtc({ year, month, day, hour, minute, second }: LocalTime): number {
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
