import type { ChaosEntry } from "../ledger/ledger_file.ts";
import { ACCOUNTS, DEPOSIT } from "./_bank.ts";
import type { StoreKind, StoreNote } from "./store_notes.ts";

/** What is known at the end of a run. */
export interface StoreObservation {
  notes: StoreNote[];
  /** What was done to processes and servers. */
  chaos: ChaosEntry[];
  /** Versions of all values and objects that are there in the end. */
  values: Map<string, number>;
  objects: Map<string, number>;
  /** What the counters hold in the end. */
  counters: Map<string, { total: number; by: Record<string, number> }>;
  /** What all accounts have in the end; it is what they had in the beginning. */
  money: number;
  /** Who owns each claimed key in the end. */
  claims: Map<string, string>;
}

/** A write, with what became of it. */
interface Write {
  version: number;
  deletes: boolean;
  began: number;
  /** When its call ended. */
  ended: number;
  confirmed: boolean;
}

/** What all accounts have together, always. */
const MONEY = ACCOUNTS.length * DEPOSIT;

/** Milliseconds after an outage within which what was under way in it may still take effect. */
const LATE_EFFECT = 3_000;

type Of<What extends StoreNote["what"]> = Extract<StoreNote, { what: What }>;

/** Compares what the clients noted with what is there, and with what the stores promise. */
export function checkStores(observation: StoreObservation): string[] {
  const { notes, values, objects } = observation;
  const of = <What extends StoreNote["what"]>(what: What) =>
    notes.filter((note): note is Of<What> => note.what === what);
  const late = lateEffects(observation.chaos);
  const violations: string[] = [];
  for (const kind of ["value", "object"] as const) {
    const histories = readWrites(notes, kind);
    const present = kind === "value" ? values : objects;
    for (const [key, writes] of histories) {
      violations.push(...checkEnd(kind, key, writes, present.get(key) ?? 0, late));
    }
    for (const read of of("read").filter((read) => read.kind === kind && read.strict)) {
      violations.push(...checkRead(read, histories.get(read.key) ?? [], late));
    }
  }
  violations.push(...of("view").flatMap((view) => checkView(view, values)));
  violations.push(...checkCounters(of("incremented"), observation.counters));
  violations.push(...checkClaims(of("claimed"), observation.claims));
  violations.push(...checkLock(of("held")));
  if (observation.money !== MONEY) violations.push(`The accounts have ${observation.money} in the end, not ${MONEY}`);
  for (const { client, message } of of("wrong")) violations.push(`${client}: ${message}`);
  for (const { client, call, code, message, at } of of("refused")) {
    if (!isExpected(code, at, observation.chaos)) {
      violations.push(`${client}: ${call} was refused: ${code}: ${message}`);
    }
  }
  for (const { client, call, took, deadline, lag } of of("late")) {
    const times = [took, deadline, lag].map(Math.round);
    violations.push(`${client}: ${call} took ${times[0]} ms of ${times[1]}, with ${times[2]} ms of lag`);
  }
  return [...violations, ...checkLog(of("log"))];
}

/** Whether a call may be refused with this code at a moment. */
function isExpected(code: string, moment: number, chaos: ChaosEntry[]): boolean {
  return chaos.some((entry) =>
    entry.what === "refusing" && entry.code === code && entry.from <= moment && moment <= entry.at
  );
}

function readWrites(notes: StoreNote[], kind: StoreKind): Map<string, Write[]> {
  const histories = new Map<string, Write[]>();
  for (const note of notes.toSorted((a, b) => a.at - b.at)) {
    if (note.what === "write" && note.kind === kind) {
      const { key, version, deletes, at } = note;
      const writes = histories.get(key) ?? [];
      writes.push({ version, deletes, began: at, ended: Infinity, confirmed: false });
      histories.set(key, writes);
    } else if (note.what === "written" && note.kind === kind) {
      const write = histories.get(note.key)?.find(({ version }) => version === note.version);
      if (!write) throw new Error(`The ledger has no beginning of write ${note.version} of ${note.key}`);
      write.ended = note.at;
      write.confirmed = note.confirmed;
    }
  }
  return histories;
}

/** Whether an unconfirmed write may have taken effect after a later one was confirmed: it was under way in an outage. */
type LateEffects = (write: Write, later: Write) => boolean;

function lateEffects(chaos: ChaosEntry[]): LateEffects {
  const outages = chaos.filter((entry) => entry.what === "outage");
  return (write, later) =>
    outages.some(({ from, at }) => from <= write.ended && write.began <= at && later.began <= at + LATE_EFFECT);
}

/** The version that can be seen after this write. */
function seen({ version, deletes }: Write): number {
  return deletes ? 0 : version;
}

/** Versions that may be seen from `from` to `at`, or in the end. */
function possible(writes: Write[], from: number, at: number, late: LateEffects): Set<number> {
  const last = writes.findLast(({ confirmed, ended }) => confirmed && ended <= from);
  const others = writes.filter((write) =>
    write.began <= at && (!last || write.version > last.version || (!write.confirmed && late(write, last)))
  );
  return new Set([...(last ? [last] : []), ...others].map(seen).concat(last ? [] : [0]));
}

function checkEnd(kind: StoreKind, key: string, writes: Write[], version: number, late: LateEffects): string[] {
  const allowed = possible(writes, Infinity, Infinity, late);
  if (allowed.has(version)) return [];
  const last = writes.findLast(({ confirmed }) => confirmed);
  return [`${kind} ${key} has version ${version} in the end, and ${last?.version} was confirmed last: ${[...allowed]}`];
}

function checkRead(read: Of<"read">, writes: Write[], late: LateEffects): string[] {
  const { kind, key, client, version, from, at } = read;
  const allowed = possible(writes, from, at, late);
  if (allowed.has(version)) return [];
  const time = new Date(from).toISOString().slice(11, -1);
  return [`${client} read version ${version} of ${kind} ${key} at ${time}, which can be ${[...allowed]}`];
}

function checkView({ client, versions }: Of<"view">, values: Map<string, number>): string[] {
  const keys = new Set([...Object.keys(versions), ...values.keys()]);
  return [...keys].filter((key) => versions[key] !== values.get(key)).map((key) =>
    `the watch of ${client} has version ${versions[key]} of ${key} in the end, which is ${values.get(key)}`
  );
}

function checkCounters(notes: Of<"incremented">[], counters: StoreObservation["counters"]): string[] {
  const violations: string[] = [];
  const known = new Map<string, Of<"incremented">>();
  for (const note of notes.toSorted((a, b) => a.at - b.at)) known.set(`${note.key} ${note.client}`, note);
  for (const { key, client, count, pending } of known.values()) {
    const stored = counters.get(key)?.by[client] ?? 0;
    if (stored !== count && !(pending && stored === count + 1)) {
      violations.push(`${key} has ${stored} increments of ${client}, which made ${count}`);
    }
  }
  for (const [key, { total, by }] of counters) {
    const sum = Object.values(by).reduce((a, b) => a + b, 0);
    if (sum !== total) violations.push(`${key} is ${total}, and its increments are ${sum}`);
  }
  return violations;
}

function checkClaims(notes: Of<"claimed">[], claims: Map<string, string>): string[] {
  const owners = Map.groupBy(notes, ({ key }) => key);
  return [...owners].flatMap(([key, [{ client }, ...others]]) => [
    ...others.map((other) => `${key} was created by ${client} and by ${other.client}`),
    ...(claims.get(key) === client ? [] : [`${key} was created by ${client} and is of ${claims.get(key)}`]),
  ]);
}

/** No two clients hold the lock at the same time. */
function checkLock(held: Of<"held">[]): string[] {
  return held.toSorted((a, b) => a.from - b.from).flatMap(({ client, from }, i, all) => {
    const other = all.slice(0, i).find((other) => other.at > from);
    return other ? [`${client} got the lock ${Math.round(other.at - from)} ms before ${other.client} released it`] : [];
  });
}

/** A change of state is told once. */
function checkLog(lines: Of<"log">[]): string[] {
  return [...Map.groupBy(lines, ({ client }) => client)].flatMap(([client, lines]) => {
    const sorted = lines.toSorted((a, b) => a.at - b.at);
    return sorted.filter(({ message }, i) => message === sorted[i - 1]?.message)
      .map(({ message }) => `${client} told twice in a row: ${message}`);
  });
}
