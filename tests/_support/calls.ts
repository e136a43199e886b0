import type * as jetstream from "../../mod.ts";
import type { JetStreamStores, JobQueue, KvBucket, KvTransaction, ObjectBucket } from "../../mod.ts";

/** The functions of mod.ts; an instance has the same as methods. */
export type Functions = Omit<
  typeof jetstream,
  "JetStreamStores" | "JetStreamStoreError" | "JobFailedError" | "RetryJobError" | "UnrecoverableJobError"
>;

/**
 * What a function is without NATS:
 * - `null`: a promise of `null`
 * - `throws`: an iterable that throws a JetStreamStoreError `disconnected`
 * - `follows`: the same; one that has begun waits for the server, and ends when the connection is closed
 * - `promise`: a promise of something of its own, which has tests of its own
 * - `value`: something of its own, at once
 */
export interface Call<T> {
  gives: "null" | "throws" | "follows" | "promise" | "value";
  /** The call with good arguments. */
  good(target: T): unknown;
  /** Calls with bad arguments, each with what is wrong and the error that says so. */
  bad?: [what: string, call: (target: T) => unknown, error: typeof TypeError | typeof RangeError, message: string][];
}

/** Texts that are no key, name or id, and what the message says of them. */
const BAD_TEXTS: [string, unknown, typeof TypeError | typeof RangeError, string][] = [
  ["none", undefined, TypeError, "must be a string: current value is of type undefined"],
  ["null", null, TypeError, "must be a string: current value is null"],
  ["a number", 5, TypeError, "must be a string: current value is of type number"],
  ["an empty one", "", TypeError, `must not be empty: current value is ""`],
  ["a lone surrogate", "a\ud800", TypeError, "must be well-formed Unicode"],
  ["one too long for a subject", "x".repeat(3_001), RangeError, "must fit a subject of 3000 bytes"],
];

/** Bad calls of a function that takes such a text. */
function texts<T>(argument: string, call: (target: T, text: string) => unknown): NonNullable<Call<T>["bad"]> {
  return BAD_TEXTS.map(([what, text, error, message]) => [
    `${argument}: ${what}`,
    (target) => call(target, text as string),
    error,
    `'${argument}' ${message}`,
  ]);
}

/** Bad calls of a function that takes the name of a bucket or queue. */
function names<T>(call: (target: T, name: string) => unknown): NonNullable<Call<T>["bad"]> {
  return [
    ["name: none", (target) => call(target, undefined as never), TypeError, "name must be a string"],
    ["name: a number", (target) => call(target, 5 as never), TypeError, "name must be a string"],
    ["name: an empty one", (target) => call(target, ""), RangeError, "name must be 1 to 64 of A-Z a-z 0-9 _ -"],
    ["name: one with a dot", (target) => call(target, "a.b"), RangeError, `current value is "a.b"`],
    ["name: a long one", (target) => call(target, "a".repeat(65)), RangeError, "name must be 1 to 64"],
  ];
}

const BAD = "bad" as never;

export const FUNCTIONS: Record<keyof Functions, Call<Functions>> = {
  connect: {
    gives: "promise",
    good: (api) => api.connect(),
    bad: [
      ["servers: a number", (api) => api.connect({ servers: 5 as never }), TypeError, "'servers' must be"],
      ["connectTimeout", (api) => api.connect({ servers: "a", connectTimeout: -1 }), RangeError, "'connectTimeout'"],
    ],
  },
  useConnection: {
    gives: "value",
    good: () => {},
    bad: [["no connection", (api) => api.useConnection({}), TypeError, "hand over the result of connect()"]],
  },
  connectionStatus: { gives: "value", good: (api) => api.connectionStatus() },
  connectionCounters: { gives: "value", good: (api) => api.connectionCounters() },
  close: {
    gives: "promise",
    good: (api) => api.close(),
    bad: [
      ["a negative deadline", (api) => api.close({ deadline: -1 }), RangeError, "'deadline' must be ≥ 0 ms"],
      ["a deadline that is no number", (api) => api.close({ deadline: NaN }), RangeError, "'deadline' must be ≥ 0 ms"],
    ],
  },
  closeOnSignals: {
    gives: "value",
    good: (api) => api.closeOnSignals({ signals: [] }),
    bad: [
      ["a negative deadline", (api) => api.closeOnSignals({ deadline: -1 }), RangeError, "'deadline' must be ≥ 0 ms"],
      ["signals: a text", (api) => api.closeOnSignals({ signals: BAD }), TypeError, "'signals' must be an array"],
      [
        "a signal that nobody can handle",
        (api) => api.closeOnSignals({ signals: ["SIGKILL" as never] }),
        RangeError,
        "'signals' must be one of SIGTERM",
      ],
    ],
  },
  storeHealthcheck: {
    gives: "null",
    good: (api) => api.storeHealthcheck("https://a", "{}"),
    bad: [
      ...texts<Functions>("url", (api, url) => api.storeHealthcheck(url, "{}")).slice(0, -1),
      ["url: a long one", (api) => api.storeHealthcheck("x".repeat(3_001), "{}"), RangeError, "of 3000 bytes"],
      ["json: an object", (api) => api.storeHealthcheck("u", {} as never), TypeError, "'json' must be a string"],
    ],
  },
  loadHealthcheck: {
    gives: "null",
    good: (api) => api.loadHealthcheck("https://a"),
    bad: [
      ...texts<Functions>("url", (api, url) => api.loadHealthcheck(url)).slice(0, -1),
      ["url: a long one", (api) => api.loadHealthcheck("x".repeat(3_001)), RangeError, "of 3000 bytes"],
    ],
  },
  storeKV: {
    gives: "null",
    good: (api) => api.storeKV("k", "v"),
    bad: [
      ...texts<Functions>("key", (api, key) => api.storeKV(key, "v")),
      ["value: none", (api) => api.storeKV("k", undefined as never), TypeError, "'value' must be a string"],
      ["ttl: 0", (api) => api.storeKV("k", "v", { ttl: 0 }), RangeError, "'ttl' must be ≥"],
    ],
  },
  loadKV: {
    gives: "null",
    good: (api) => api.loadKV("k"),
    bad: texts<Functions>("key", (api, key) => api.loadKV(key)),
  },
  deleteKV: {
    gives: "null",
    good: (api) => api.deleteKV("k"),
    bad: texts<Functions>("key", (api, key) => api.deleteKV(key)),
  },
  publishJob: {
    gives: "null",
    good: (api) => api.publishJob("q", 1),
    bad: [
      ...names<Functions>((api, queue) => api.publishJob(queue, 1)),
      ["data: none", (api) => api.publishJob("q", undefined), TypeError, "'data' must be a JSON value"],
      [
        "delay",
        (api) => api.publishJob("q", 1, { delay: -5 }),
        RangeError,
        "'delay' must be ≥ 0 ms: current value is -5",
      ],
    ],
  },
  publishJobs: {
    gives: "null",
    good: (api) => api.publishJobs("q", [{ data: 1 }]),
    bad: [
      ...names<Functions>((api, queue) => api.publishJobs(queue, [{ data: 1 }])),
      ["jobs: none", (api) => api.publishJobs("q", undefined as never), TypeError, "'jobs' must be an array"],
      ["jobs: one without data", (api) => api.publishJobs("q", [{} as never]), TypeError, "'data' must be"],
    ],
  },
  consumeJobs: {
    gives: "null",
    good: (api) => api.consumeJobs("q", () => {}),
    bad: [
      ...names<Functions>((api, queue) => api.consumeJobs(queue, () => {})),
      ["handler: none", (api) => api.consumeJobs("q", undefined as never), TypeError, "handler"],
      ["concurrency", (api) => api.consumeJobs("q", () => {}, { concurrency: 0 }), RangeError, "'concurrency'"],
    ],
  },
  objectBucket: {
    gives: "value",
    good: (api) => api.objectBucket("b"),
    bad: [
      ...names<Functions>((api, name) => void api.objectBucket(name)),
      ["ttl", (api) => void api.objectBucket("b", { ttl: -1 }), RangeError, "'ttl'"],
    ],
  },
  kvBucket: {
    gives: "value",
    good: (api) => api.kvBucket("b"),
    bad: [
      ...names<Functions>((api, name) => void api.kvBucket(name)),
      ["history", (api) => void api.kvBucket("b", { history: 65 }), RangeError, "'history'"],
    ],
  },
  jobQueue: {
    gives: "value",
    good: (api) => api.jobQueue("q"),
    bad: [
      ...names<Functions>((api, name) => void api.jobQueue(name)),
      ["lease", (api) => void api.jobQueue("q", { lease: 0 }), RangeError, "'lease'"],
    ],
  },
};

/** What only an instance has. */
export const INSTANCE: Record<string, Call<JetStreamStores>> = {
  connectionInfo: { gives: "value", good: (stores) => stores.connectionInfo() },
  objectBuckets: { gives: "throws", good: (stores) => stores.objectBuckets() },
  kvBuckets: { gives: "throws", good: (stores) => stores.kvBuckets() },
  jobQueues: { gives: "throws", good: (stores) => stores.jobQueues() },
};

export const OBJECT_BUCKET: Record<string, Call<ObjectBucket>> = {
  put: {
    gives: "null",
    good: (bucket) => bucket.put("n", "data"),
    bad: [
      ...texts<ObjectBucket>("name", (bucket, name) => bucket.put(name, "data")),
      ["data: none", (bucket) => bucket.put("n", undefined as never), TypeError, "'data' must be"],
      ["chunkSize", (bucket) => bucket.put("n", "data", { chunkSize: 0 }), RangeError, "'chunkSize'"],
    ],
  },
  putStream: {
    gives: "null",
    good: (bucket) => bucket.putStream("n", new Blob(["data"]).stream()),
    bad: [
      ...texts<ObjectBucket>("name", (bucket, name) => bucket.putStream(name, new Blob([]).stream())),
      ["source: none", (bucket) => bucket.putStream("n", undefined as never), TypeError, "'source' must be"],
    ],
  },
  get: {
    gives: "null",
    good: (bucket) => bucket.get("n", { start: 1, end: 2 }),
    bad: [
      ...texts<ObjectBucket>("name", (bucket, name) => bucket.get(name)),
      ["start", (bucket) => bucket.get("n", { start: -1 }), RangeError, "'start' must be a whole number ≥ 0"],
      ["end", (bucket) => bucket.get("n", { start: 2, end: 1 }), RangeError, "'end' must be ≥ 'start', 2"],
    ],
  },
  getText: {
    gives: "null",
    good: (bucket) => bucket.getText("n"),
    bad: texts<ObjectBucket>("name", (bucket, name) => bucket.getText(name)),
  },
  getStream: {
    gives: "null",
    good: (bucket) => bucket.getStream("n"),
    bad: texts<ObjectBucket>("name", (bucket, name) => bucket.getStream(name)),
  },
  respond: {
    gives: "promise",
    good: (bucket) => bucket.respond(new Request("http://localhost/n"), "n"),
    bad: [
      ...texts<ObjectBucket>("name", (bucket, name) => bucket.respond(new Request("http://localhost"), name)),
      ["request: none", (bucket) => bucket.respond(undefined as never, "n"), TypeError, "'request' must be a Request"],
    ],
  },
  update: {
    gives: "null",
    good: (bucket) => bucket.update("n", { description: "d" }),
    bad: [
      ...texts<ObjectBucket>("name", (bucket, name) => bucket.update(name, {})),
      ["changes: none", (bucket) => bucket.update("n", null as never), TypeError, "'changes' must be"],
      ["description", (bucket) => bucket.update("n", { description: 1 as never }), TypeError, "'description' must be"],
      ["headers", (bucket) => bucket.update("n", { headers: { "Nats-X": "" } }), TypeError, "header's name"],
      ["metadata", (bucket) => bucket.update("n", { metadata: { k: 1 as never } }), TypeError, "'metadata.k' must be"],
    ],
  },
  link: {
    gives: "null",
    good: (bucket) => bucket.link("n", { bucket: "b", name: "other" }),
    bad: [
      ...texts<ObjectBucket>("name", (bucket, name) => bucket.link(name, { bucket: "c" })),
      ["target: none", (bucket) => bucket.link("n", undefined as never), TypeError, "'target' must be"],
      ["bucket", (bucket) => bucket.link("n", { bucket: "a.b" }), RangeError, "'target.bucket' must be 1 to 64"],
      ["name", (bucket) => bucket.link("n", { bucket: "b", name: "" }), TypeError, "'target.name' must not be empty"],
      ["itself", (bucket) => bucket.link("n", { bucket: "b", name: "n" }), RangeError, "must not be the link itself"],
    ],
  },
  info: {
    gives: "null",
    good: (bucket) => bucket.info("n"),
    bad: texts<ObjectBucket>("name", (bucket, name) => bucket.info(name)),
  },
  delete: {
    gives: "null",
    good: (bucket) => bucket.delete("n"),
    bad: texts<ObjectBucket>("name", (bucket, name) => bucket.delete(name)),
  },
  list: { gives: "throws", good: (bucket) => bucket.list() },
  watch: { gives: "follows", good: (bucket) => bucket.watch() },
  status: { gives: "null", good: (bucket) => bucket.status() },
  destroy: { gives: "null", good: (bucket) => bucket.destroy() },
};

/** Commits a transaction; what its making throws is the rejection. */
async function commit(bucket: KvBucket, make: (transaction: KvTransaction) => KvTransaction): Promise<unknown> {
  return await make(bucket.atomic()).commit();
}

export const KV_BUCKET: Record<string, Call<KvBucket>> = {
  get: {
    gives: "null",
    good: (bucket) => bucket.get("k", { revision: 1 }),
    bad: [
      ...texts<KvBucket>("key", (bucket, key) => bucket.get(key)),
      ["revision", (bucket) => bucket.get("k", { revision: 0 }), RangeError, "'revision' must be a whole number"],
    ],
  },
  getMany: {
    gives: "null",
    good: (bucket) => bucket.getMany(["k", "l"]),
    bad: [
      ...texts<KvBucket>("key", (bucket, key) => bucket.getMany([key, "k"])),
      ["keys: a text", (bucket) => bucket.getMany("abc"), TypeError, "'keys' must be an iterable of strings"],
      ["keys: none", (bucket) => bucket.getMany(null as never), TypeError, "'keys' must be an iterable of strings"],
      ["keys: a number", (bucket) => bucket.getMany(5 as never), TypeError, "'keys' must be an iterable of strings"],
      ["snapshot", (bucket) => bucket.getMany(["k"], { snapshot: BAD }), TypeError, "'snapshot' must be true or false"],
      ["keys: an object", (bucket) => bucket.getMany({} as never), TypeError, "'keys' must be an iterable of strings"],
    ],
  },
  put: {
    gives: "null",
    good: (bucket) => bucket.put("k", "v"),
    bad: [
      ...texts<KvBucket>("key", (bucket, key) => bucket.put(key, "v")),
      ["value: none", (bucket) => bucket.put("k", undefined as never), TypeError, "'value' must be"],
      ["ttl", (bucket) => bucket.put("k", "v", { ttl: NaN }), RangeError, "'ttl' must be"],
    ],
  },
  create: {
    gives: "null",
    good: (bucket) => bucket.create("k", "v"),
    bad: texts<KvBucket>("key", (bucket, key) => bucket.create(key, "v")),
  },
  update: {
    gives: "null",
    good: (bucket) => bucket.update("k", "v", 1),
    bad: [
      ...texts<KvBucket>("key", (bucket, key) => bucket.update(key, "v", 1)),
      ["revision: 0", (bucket) => bucket.update("k", "v", 0), RangeError, "'revision' must be a whole number ≥ 1"],
      ["revision: none", (bucket) => bucket.update("k", "v", BAD), RangeError, "'revision' must be"],
    ],
  },
  modify: {
    gives: "null",
    good: (bucket) => bucket.modify("k", () => "v"),
    bad: [
      ...texts<KvBucket>("key", (bucket, key) => bucket.modify(key, () => "v")),
      ["change: none", (bucket) => bucket.modify("k", undefined as never), TypeError, "'change' must be a function"],
      ["ttl", (bucket) => bucket.modify("k", () => "v", { ttl: NaN }), RangeError, "'ttl' must be"],
    ],
  },
  atomic: {
    gives: "null",
    good: (bucket) => bucket.atomic().check("j", 1).put("k", "v").delete("l").commit(),
    bad: [
      ...texts<KvBucket>("key", (bucket, key) => commit(bucket, (transaction) => transaction.put(key, "v"))),
      ...texts<KvBucket>("key", (bucket, key) => commit(bucket, (transaction) => transaction.delete(key))),
      ...texts<KvBucket>("key", (bucket, key) => commit(bucket, (transaction) => transaction.check(key, 1))),
      [
        "revision: none",
        (bucket) => commit(bucket, (transaction) => transaction.check("k", BAD)),
        RangeError,
        "'revision' must be",
      ],
      [
        "value: none",
        (bucket) => commit(bucket, (transaction) => transaction.put("k", undefined as never)),
        TypeError,
        "'value' must be",
      ],
      ["no write", (bucket) => bucket.atomic().commit(), RangeError, "must have ≥ 1 write"],
    ],
  },
  lock: {
    gives: "null",
    good: (bucket) => bucket.lock("k", { wait: 10 }),
    bad: [
      ...texts<KvBucket>("key", (bucket, key) => bucket.lock(key)),
      ["lease", (bucket) => bucket.lock("k", { lease: 999 }), RangeError, "'lease' must be ≥ 1000 ms"],
      ["wait", (bucket) => bucket.lock("k", { wait: -1 }), RangeError, "'wait' must be ≥ 0 ms"],
      ["signal", (bucket) => bucket.lock("k", { signal: BAD }), TypeError, "'signal' must be an AbortSignal"],
    ],
  },
  delete: {
    gives: "null",
    good: (bucket) => bucket.delete("k"),
    bad: texts<KvBucket>("key", (bucket, key) => bucket.delete(key)),
  },
  purge: {
    gives: "null",
    good: (bucket) => bucket.purge("k"),
    bad: texts<KvBucket>("key", (bucket, key) => bucket.purge(key)),
  },
  keys: {
    gives: "throws",
    good: (bucket) => bucket.keys(),
    bad: [["filter", (bucket) => void bucket.keys(5 as never), TypeError, "filter"]],
  },
  entries: {
    gives: "throws",
    good: (bucket) => bucket.entries("a.>"),
    bad: [["filter", (bucket) => void bucket.entries(""), TypeError, "filter"]],
  },
  history: {
    gives: "throws",
    good: (bucket) => bucket.history("k"),
    bad: texts<KvBucket>("key", (bucket, key) => void bucket.history(key)),
  },
  watch: {
    gives: "follows",
    good: (bucket) => bucket.watch(),
    bad: [["filter", (bucket) => void bucket.watch(""), TypeError, "filter"]],
  },
  status: { gives: "null", good: (bucket) => bucket.status() },
  destroy: { gives: "null", good: (bucket) => bucket.destroy() },
};

export const JOB_QUEUE: Record<string, Call<JobQueue>> = {
  publish: {
    gives: "null",
    good: (queue) => queue.publish(1),
    bad: [
      ...texts<JobQueue>("id", (queue, id) => queue.publish(1, { id })).slice(2),
      ["data: none", (queue) => queue.publish(undefined), TypeError, "'data' must be a JSON value"],
      ["data: no JSON", (queue) => queue.publish(1n), TypeError, "'data'"],
      ["priority", (queue) => queue.publish(1, { priority: BAD }), RangeError, "'priority'"],
      ["headers", (queue) => queue.publish(1, { headers: { "Job-Attempt": "1" } }), TypeError, "Job-"],
    ],
  },
  publishMany: {
    gives: "null",
    good: (queue) => queue.publishMany([{ data: 1 }, { data: 2 }]),
    bad: [["jobs: none", (queue) => queue.publishMany(undefined as never), TypeError, "'jobs' must be an array"]],
  },
  consume: {
    gives: "value",
    good: (queue) => queue.consume(() => {}),
    bad: [["handler: none", (queue) => void queue.consume(undefined as never), TypeError, "handler"]],
  },
  consumeBatches: {
    gives: "value",
    good: (queue) => queue.consumeBatches(() => {}),
    bad: [["handler: none", (queue) => void queue.consumeBatches(undefined as never), TypeError, "handler"]],
  },
  open: { gives: "null", good: (queue) => queue.open() },
  get: {
    gives: "null",
    good: (queue) => queue.get("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.get(id)),
  },
  jobs: {
    gives: "throws",
    good: (queue) => queue.jobs(),
    bad: [["kind", (queue) => void queue.jobs({ kind: BAD }), RangeError, "'kind' must be one of"]],
  },
  cancel: {
    gives: "null",
    good: (queue) => queue.cancel("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.cancel(id)),
  },
  promote: {
    gives: "null",
    good: (queue) => queue.promote("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.promote(id)),
  },
  reschedule: {
    gives: "null",
    good: (queue) => queue.reschedule("id", { delay: 5 }),
    bad: [
      ...texts<JobQueue>("id", (queue, id) => queue.reschedule(id, { delay: 5 })),
      ["neither", (queue) => queue.reschedule("id", {}), TypeError, "must have either 'delay' or 'runAt'"],
      ["delay", (queue) => queue.reschedule("id", { delay: -1 }), RangeError, "'delay' must be ≥ 0 ms"],
      ["runAt", (queue) => queue.reschedule("id", { runAt: BAD }), TypeError, "'runAt'"],
    ],
  },
  update: {
    gives: "null",
    good: (queue) => queue.update("id", 1),
    bad: [
      ...texts<JobQueue>("id", (queue, id) => queue.update(id, 1)),
      ["data: none", (queue) => queue.update("id", undefined), TypeError, "'data' must be a JSON value"],
    ],
  },
  counts: { gives: "null", good: (queue) => queue.counts() },
  deadLetters: { gives: "throws", good: (queue) => queue.deadLetters() },
  redrive: {
    gives: "null",
    good: (queue) => Promise.all([queue.redrive("all"), queue.redrive("id")]).then(([all, one]) => all ?? one),
    bad: texts<JobQueue>("id", (queue, id) => queue.redrive(id)),
  },
  deadLetter: {
    gives: "null",
    good: (queue) => queue.deadLetter("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.deadLetter(id)),
  },
  discard: {
    gives: "null",
    good: (queue) => queue.discard("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.discard(id)),
  },
  purge: { gives: "null", good: (queue) => queue.purge() },
  destroy: { gives: "null", good: (queue) => queue.destroy() },
  result: {
    gives: "null",
    good: (queue) => queue.result("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.result(id)),
  },
  progress: {
    gives: "null",
    good: (queue) => queue.progress("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.progress(id)),
  },
  workers: { gives: "null", good: (queue) => queue.workers() },
  waitFor: {
    gives: "promise",
    good: (queue) => queue.waitFor("id", { timeout: 50 }),
    bad: [
      ...texts<JobQueue>("id", (queue, id) => queue.waitFor(id, { timeout: 1 })),
      ["timeout", (queue) => queue.waitFor("id", { timeout: -1 }), RangeError, "'timeout' must be"],
      ["options: none", (queue) => queue.waitFor("id", undefined as never), RangeError, "'timeout'"],
    ],
  },
  events: { gives: "follows", good: (queue) => queue.events() },
  schedule: {
    gives: "null",
    good: (queue) => queue.schedule("id", { every: 60_000, data: 1 }),
    bad: [
      ...texts<JobQueue>("id", (queue, id) => queue.schedule(id, { every: 60_000, data: 1 })),
      ["neither every nor cron", (queue) => queue.schedule("id", { data: 1 } as never), TypeError, "'every' or 'cron'"],
      ["every", (queue) => queue.schedule("id", { every: 10, data: 1 }), RangeError, "'every' must be ≥ 1000 ms"],
    ],
  },
  runNow: {
    gives: "null",
    good: (queue) => queue.runNow("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.runNow(id)),
  },
  unschedule: {
    gives: "null",
    good: (queue) => queue.unschedule("id"),
    bad: texts<JobQueue>("id", (queue, id) => queue.unschedule(id)),
  },
  schedules: { gives: "throws", good: (queue) => queue.schedules() },
  pause: {
    gives: "null",
    good: (queue) => queue.pause(),
    bad: [["until", (queue) => queue.pause(new Date(NaN)), TypeError, "'until' must be a valid Date"]],
  },
  resume: {
    gives: "null",
    good: (queue) => queue.resume(),
    bad: [["priority", (queue) => queue.resume({ priority: BAD }), RangeError, "'priority'"]],
  },
  limitActive: {
    gives: "null",
    good: (queue) => queue.limitActive({ high: 5 }),
    bad: [["a limit of 0", (queue) => queue.limitActive({ high: 0 }), RangeError, "'high'"]],
  },
  limitRate: {
    gives: "null",
    good: (queue) => queue.limitRate({ jobs: 5, interval: 100 }),
    bad: [
      ["no jobs", (queue) => queue.limitRate({ jobs: 0, interval: 100 }), RangeError, "'jobs' must be a whole number"],
      ["interval", (queue) => queue.limitRate({ jobs: 1, interval: 1 }), RangeError, "'interval' must be ≥ 10 ms"],
      ["rate", (queue) => queue.limitRate(BAD), TypeError, "'rate'"],
    ],
  },
};

/** A part of the library with its handle. */
export interface Part {
  name: string;
  /** Each is only called with the handle of this part. */
  calls: Record<string, Call<object>>;
  target(api: Functions): object;
}

function part<T extends object>(name: string, calls: Record<string, Call<T>>, target: (api: Functions) => T): Part {
  return { name, calls: calls as Record<string, Call<object>>, target };
}

const PARTS: Part[] = [
  part("function", FUNCTIONS, (api) => api),
  part("JetStreamStores", INSTANCE, (api) => api as JetStreamStores),
  part("ObjectBucket", OBJECT_BUCKET, (api) => api.objectBucket("b")),
  part("KvBucket", KV_BUCKET, (api) => api.kvBucket("b")),
  part("KvBucket with a cache", KV_BUCKET, (api) => api.kvBucket("b", { cache: true })),
  part("JobQueue", JOB_QUEUE, (api) => api.jobQueue("q")),
];

/** The parts that these functions lead to: those of mod.ts to all but what only an instance has. */
export function partsOf(api: Functions): Part[] {
  return PARTS.filter(({ calls }) => calls !== INSTANCE || "connectionInfo" in api);
}

/** The methods of an instance as functions. */
export function functionsOf(stores: JetStreamStores): Functions {
  const bound = Object.keys({ ...FUNCTIONS, ...INSTANCE }).map((name) => {
    const method = stores[name as keyof JetStreamStores] as (...args: unknown[]) => unknown;
    return [name, method.bind(stores)];
  });
  return Object.fromEntries(bound);
}
