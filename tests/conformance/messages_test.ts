import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { JetStreamStoreError, JetStreamStores, JobFailedError } from "../../mod.ts";
import { guardedLogger } from "../../src/connection/logger.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** All that a terminal or a log reader may obey, in one text, with a megabyte behind it. */
const NASTY = `a\r\n\0\x1b]0;title\x07\x1b[31m\x7f\x85\x9b31m\u061c\u200e\u202e\u2066\u2028\u2029\ufeff"'${
  "x".repeat(1_000_000)
}`;

function assertReadable(text: string, most = 2_000): void {
  assert(!/[\p{C}\p{Zl}\p{Zp}]/u.test(text), text.slice(0, 300));
  assert(text.length <= most, `${text.length} characters: ${text.slice(0, 300)}`);
}

/** Calls that quote what they were given in an error. */
// deno-lint-ignore no-explicit-any
const CALLS: Record<string, (stores: JetStreamStores, text: any) => unknown> = {
  "connect servers": (stores, text) => stores.connect({ servers: text }),
  "connect inboxPrefix": (stores, inboxPrefix) => stores.connect({ servers: "localhost", inboxPrefix }),
  "kvBucket name": (stores, name) => stores.kvBucket(name),
  "kvBucket storage": (stores, storage) => stores.kvBucket("a", { storage }),
  "kvBucket metadata": (stores, text) => stores.kvBucket("a", { metadata: { [text]: 1 as never } }),
  "KvBucket.get": (stores, key) => stores.kvBucket("a").get(key),
  "KvBucket.update": (stores, revision) => stores.kvBucket("a").update("k", "v", revision),
  "objectBucket name": (stores, name) => stores.objectBucket(name),
  "ObjectBucket.put name": (stores, name) => stores.objectBucket("a").put(name, ""),
  "ObjectBucket.put header": (stores, text) => stores.objectBucket("a").put("n", "", { headers: { [text]: "" } }),
  "ObjectBucket.put header value": (stores, text) =>
    stores.objectBucket("a").put("n", "", { headers: { a: [text, 1 as never] } }),
  "jobQueue name": (stores, name) => stores.jobQueue(name),
  "JobQueue.publish id": (stores, id) => stores.publishJob("q", 1, { id }),
  "JobQueue.publish key": (stores, key) => stores.publishJob("q", 1, { key }),
  "JobQueue.publish requestId": (stores, requestId) => stores.publishJob("q", 1, { requestId }),
  "JobQueue.publish priority": (stores, priority) => stores.publishJob("q", 1, { priority }),
  "JobQueue.publish backoff": (stores, backoff) => stores.publishJob("q", 1, { backoff }),
  "JobQueue.publish header": (stores, text) => stores.publishJob("q", 1, { headers: { [text]: "" } }),
  "JobQueue.publish header value": (stores, a) => stores.publishJob("q", 1, { headers: { a } }),
  "JobQueue.publish data": (stores, text) => stores.publishJob("q", { [text]: 1n }),
  "JobQueue.consume priorities": (stores, text) => stores.jobQueue("q").consume(() => {}, { priorities: [text, text] }),
  "JobQueue.schedule cron": (stores, cron) => stores.jobQueue("q").schedule("s", { cron, data: 1 }),
  "JobQueue.schedule timeZone": (stores, timeZone) =>
    stores.jobQueue("q").schedule("s", { cron: "0 0 * * * *", timeZone, data: 1 }),
  "JobQueue.jobs kind": (stores, kind) => stores.jobQueue("q").jobs({ kind }),
  "JobQueue.pause priority": (stores, priority) => stores.jobQueue("q").pause(undefined, { priority }),
  "JobQueue.limitActive": (stores, text) => stores.jobQueue("q").limitActive({ [text]: 1 }),
  "an unknown option": (stores, text) => stores.publishJob("q", 1, { [text]: 1 }),
};

for (const [name, call] of Object.entries(CALLS)) {
  Deno.test(`${name}: the error shows a nasty text escaped and short`, async () => {
    const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
    const error = await assertRejects(async () => void await call(stores, NASTY));
    assert(error instanceof TypeError || error instanceof RangeError, String(error));
    assertReadable(error.message, 400);
    await stores.close();
  });
}

const throws = () => {
  throw new Error("a second error");
};
const { proxy: revoked, revoke } = Proxy.revocable({}, {});
revoke();
const cycle: unknown[] = [];
cycle.push(cycle);

for (
  const [what, value] of [
    ["a toString that throws", { toString: throws, toJSON: throws, [Symbol.toPrimitive]: throws }],
    ["a null prototype", Object.create(null)],
    ["a symbol", Symbol("s")],
    ["a bigint", 5n],
    ["a function", throws],
    ["a cycle", cycle],
    ["a revoked proxy", revoked],
    ["a proxy that throws", new Proxy({}, { get: throws, has: throws, ownKeys: throws, getPrototypeOf: throws })],
  ] as [string, never][]
) {
  Deno.test(`arguments: ${what} is refused by one TypeError or RangeError, never by an error of its own`, async () => {
    const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
    for (const [name, call] of Object.entries(CALLS)) {
      // Only texts can be names of properties, and what a user's own option throws is the user's.
      if (/metadata|header$|data$|limitActive|unknown|backoff/.test(name)) continue;
      const error = await assertRejects(async () => void await call(stores, value), Error, "", name);
      assert(error instanceof TypeError || error instanceof RangeError, `${name}: ${error}`);
      assert(error.message.startsWith("Cannot "), `${name}: ${error.message}`);
      assertReadable(error.message, 400);
    }
    for (const option of ["delay", "ttl", "timeout", "maxAttempts", "keepResult", "runAt"]) {
      const refused = () => stores.publishJob("q", 1, { [option]: value });
      assertReadable((await assertRejects(refused, Error, `'${option}'`, option)).message, 400);
    }
    await stores.close();
  });
}

Deno.test("a JetStreamStoreError and the lines of the log are one printable line of at most 2000 characters", () => {
  const lines: string[] = [];
  const take = (line: string) => void lines.push(line);
  const logger = guardedLogger({ info: take, warn: take, error: take });
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
    assertReadable(new JetStreamStoreError("server", text).message);
    logger.warn(text);
    assertReadable(lines.at(-1)!);
  }));
  logger.error(NASTY);
  assertReadable(lines.at(-1)!);
  assertReadable(new JetStreamStoreError("server", NASTY).message);
  assertEquals(new JetStreamStoreError("server", "plain: ü").message, "plain: ü");
  // A reason may have several lines.
  const reason = new JobFailedError(`first\r\n\tsecond\x1b[31m${NASTY}`, { id: "a" }).message;
  assertEquals(reason.startsWith("first\n\tsecond\\u001b[31ma\n\\u0000"), true, reason.slice(0, 80));
  assertReadable(reason.replace(/[\n\t]/g, ""));
});

Deno.test("the errors of a schema and of waitFor quote issues and ids escaped and short", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({
    servers: server.url,
    connectTimeout: TIMEOUT_MS,
    logger: new CollectedLog(),
  });
  const issues = Array.from({ length: 100 }, () => ({ message: NASTY, path: [NASTY] }));
  const queue = stores.jobQueue("q", { schema: { "~standard": { validate: () => ({ issues }) } } });
  const refused = await assertRejects(() => queue.publish(1), TypeError, "does not fit the queue's schema");
  assertReadable(refused.message, 2_100);
  const late = await assertRejects(() => stores.jobQueue("q").waitFor(NASTY.slice(0, 200), { timeout: 0 }));
  assertInstanceOf(late, DOMException);
  assertReadable(late.message, 400);
  assertThrows(() => stores.jobQueue(NASTY), RangeError);
});
