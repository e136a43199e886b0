import type { ReplySlot } from "./_reply_slot.ts";

/** More than the calls that can be pending. */
const PLACES = 2 ** 24;

/** Numbers of reply subjects: each place has millions before one comes again. */
const NUMBERS = 2 ** 52;

/** Places that are kept, however few calls are pending. */
const MIN_PLACES = 1_024;

/** Places that are kept for each call that is pending. */
const PLACES_PER_CALL = 4;

/**
 * The calls that wait for an answer, each in a place of its own, and what their reply subjects end with.
 *
 * Not a `Map`: each table that it outgrows refers to the next one, and keeps the calls in it from being collected with the young objects, which cost a
 * fifth of a call.
 */
export class ReplyPlaces {
  readonly #slots: (ReplySlot | null)[] = [];
  /** The number of each place: the place, and a multiple of {@linkcode PLACES} that changes where a further reply may arrive. */
  readonly #numbers: number[] = [];
  /** Places without a call; the last one is taken next. */
  #free: number[] = [];
  /** Multiple of {@linkcode PLACES} in the number of a new place: above those of places that were given up. */
  #base = 0;
  #size = 0;
  /** Pending calls that have no deadline. */
  #untimed = 0;

  /** How many calls wait. */
  get size(): number {
    return this.#size;
  }

  /** Whether some of them have a deadline. */
  get hasTimed(): boolean {
    return this.#size > this.#untimed;
  }

  /** Takes a call in; returns its place. */
  add(slot: ReplySlot): number {
    const place = this.#free.pop() ?? this.#numbers.push(this.#base + this.#numbers.length) - 1;
    this.#slots[place] = slot;
    this.#size++;
    if (slot.deadline === Infinity) this.#untimed++;
    return place;
  }

  /** What the reply subject of a place ends with. */
  numberOf(place: number): number {
    return this.#numbers[place];
  }

  /** The place of the call whose reply subject ends with a number; -1 if there is none. */
  placeOf(number: number): number {
    const place = number % PLACES;
    return this.#numbers[place] === number ? place : -1;
  }

  /** The call in a place, if there is one. */
  at(place: number): ReplySlot | null | undefined {
    return this.#slots[place];
  }

  /** All calls, with their places; each may be removed meanwhile. */
  *entries(): Generator<[number, ReplySlot], void> {
    for (let place = 0; place < this.#slots.length; place++) {
      const slot = this.#slots[place];
      if (slot) yield [place, slot];
    }
  }

  /**
   * Frees the place of a call.
   *
   * @param isOver Whether no further reply can arrive: then the next call in this place has the same reply subject.
   */
  remove(place: number, slot: ReplySlot, isOver: boolean): void {
    if (this.#slots[place] !== slot) return;
    this.#slots[place] = null;
    this.#free.push(place);
    if (!isOver) this.#numbers[place] = (this.#numbers[place] + PLACES) % NUMBERS;
    this.#size--;
    if (slot.deadline === Infinity) this.#untimed--;
  }

  /** Gives places up that only a burst of calls has needed, once those above all pending calls are free: the next calls take the lowest ones. */
  shrink(): void {
    if (this.#numbers.length <= Math.max(MIN_PLACES, PLACES_PER_CALL * this.#size)) return;
    let length = this.#slots.length;
    for (; length > MIN_PLACES && this.#slots[length - 1] === null; length--) {
      this.#base = Math.max(this.#base, (this.#numbers[length - 1] - (length - 1) + PLACES) % NUMBERS);
    }
    this.#slots.length = this.#numbers.length = length;
    this.#free = [];
    for (let place = length - 1; place >= 0; place--) if (this.#slots[place] === null) this.#free.push(place);
  }
}
