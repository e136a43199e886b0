import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import type { ConsumeOptions, PublishOptions, QueueOptions } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { QueueStores } from "../_support/queue_stores.ts";

type Kind = typeof TypeError | typeof RangeError;

/** Bad options, the class of the error, and what its message names. */
const PUBLISH: [options: unknown, kind: Kind, names: string][] = [
  [{ id: "" }, TypeError, "'id'"],
  [{ id: 5 }, TypeError, "'id'"],
  [{ id: "\ud800" }, TypeError, "'id'"],
  [{ id: "x".repeat(3_001) }, RangeError, "'id'"],
  [{ priority: "urgent" }, RangeError, '"urgent"'],
  [{ delay: -5 }, RangeError, "current value is -5"],
  [{ delay: NaN }, RangeError, "'delay'"],
  [{ delay: "5" }, RangeError, "'delay'"],
  [{ runAt: new Date(NaN) }, TypeError, "'runAt'"],
  [{ runAt: 1_700_000_000_000 }, TypeError, "'runAt'"],
  [{ delay: 1, runAt: new Date() }, TypeError, "'delay' and 'runAt'"],
  [{ maxAttempts: 0 }, RangeError, "'maxAttempts'"],
  [{ maxAttempts: 1.5 }, RangeError, "current value is 1.5"],
  [{ backoff: -1 }, RangeError, "'backoff'"],
  [{ backoff: [] }, RangeError, "'backoff'"],
  [{ backoff: [1, NaN] }, RangeError, "'backoff'"],
  [{ backoff: { base: 10 } }, RangeError, "'backoff.max'"],
  [{ backoff: { base: 10, max: 5 } }, RangeError, "'backoff.max'"],
  [{ backoff: "fast" }, TypeError, "'backoff'"],
  [{ backoff: () => 5 }, TypeError, "'backoff'"],
  [{ timeout: 0 }, RangeError, "'timeout'"],
  [{ timeout: Infinity }, RangeError, "'timeout'"],
  [{ ttl: 0 }, RangeError, "'ttl'"],
  [{ keepResult: -1 }, RangeError, "'keepResult'"],
  [{ headers: { "Nats-Msg-Id": "x" } }, TypeError, '"Nats-Msg-Id"'],
  [{ headers: { "job-attempt": "1" } }, TypeError, '"job-attempt"'],
  [{ headers: { "a b": "x" } }, TypeError, '"a b"'],
  [{ headers: { "": "x" } }, TypeError, '""'],
  [{ headers: { a: "x\r\nJob-Attempt: 9" } }, TypeError, "header 'a'"],
  [{ headers: { a: 5 } }, TypeError, "header 'a'"],
  [{ headers: { a: "\ud800" } }, TypeError, "header 'a'"],
  [{ key: "" }, TypeError, "'key'"],
  [{ key: "a\nb" }, RangeError, "'key'"],
  [{ key: "k", delay: 5 }, TypeError, "'key'"],
  [{ key: "k", runAt: new Date() }, TypeError, "'key'"],
  [{ key: "k", priority: "high" }, TypeError, "'key'"],
  [{ replace: 1 }, TypeError, "'replace'"],
  [{ replace: true }, TypeError, "'id'"],
  [{ id: "a", debounce: -1 }, RangeError, "'debounce'"],
  [{ requestId: 7 }, TypeError, "'requestId'"],
  [{ requestId: "a\nb" }, RangeError, "'requestId'"],
];

const CONSUME: [options: unknown, kind: Kind, names: string][] = [
  [{ concurrency: 0 }, RangeError, "'concurrency'"],
  [{ concurrency: 1.5 }, RangeError, "current value is 1.5"],
  [{ prefetch: -1 }, RangeError, "'prefetch'"],
  [{ priorities: [] }, RangeError, "'priorities'"],
  [{ priorities: ["urgent"] }, RangeError, '"urgent"'],
  [{ priorities: "high" }, RangeError, "'priorities'"],
  [{ maxAttempts: 0 }, RangeError, "'maxAttempts'"],
  [{ maxDeliveries: 0 }, RangeError, "'maxDeliveries'"],
  [{ backoff: -1 }, RangeError, "'backoff'"],
  [{ backoff: [] }, RangeError, "'backoff'"],
  [{ backoff: { base: 2, max: 1 } }, RangeError, "'backoff.max'"],
  [{ backoff: "slow" }, TypeError, "'backoff'"],
  [{ timeout: 0 }, RangeError, "'timeout'"],
  [{ timeout: 2 ** 31 }, RangeError, "'timeout'"],
  [{ rateLimit: { jobs: 1, interval: 2 ** 31 } }, RangeError, "'rateLimit.interval'"],
  [{ rateLimit: { jobs: 0, interval: 10 } }, RangeError, "'rateLimit.jobs'"],
  [{ rateLimit: { jobs: 1, interval: 0 } }, RangeError, "'rateLimit.interval'"],
];

const QUEUE: [options: unknown, kind: Kind, names: string][] = [
  [{ lease: 99 }, RangeError, "'lease'"],
  [{ lease: NaN }, RangeError, "'lease'"],
  [{ dedupe: -1 }, RangeError, "'dedupe'"],
  [{ deadLetterTtl: 5 }, RangeError, "'deadLetterTtl'"],
  [{ replicas: 6 }, RangeError, "'replicas'"],
  [{ schema: {} }, TypeError, "'schema'"],
];

for (const connected of [true, false]) {
  const where = connected ? "" : ", also without a connection";

  Deno.test(`JobQueue.publish throws for each bad option and names it${where}`, async () => {
    await using server = connected ? await startNatsServer() : null;
    await using stores = new QueueStores(server?.url);
    const queue = stores.jobQueue("checks");
    for (const [options, kind, names] of PUBLISH) {
      const title = Deno.inspect(options).slice(0, 80);
      const error = await assertRejects(() => queue.publish(1, options as PublishOptions), kind, names, title);
      assertEquals(error.message.startsWith("Cannot publish the job as "), true, error.message);
      await assertRejects(() => queue.publishMany([{ data: 1, ...options as PublishOptions }]), kind, names, title);
      await assertRejects(() => stores.publishJob("checks", 1, options as PublishOptions), kind, names, title);
    }
    if (connected) assertEquals(await queue.counts(), null);
  });

  Deno.test(`JobQueue.publish throws for data that JSON cannot say${where}`, async () => {
    await using server = connected ? await startNatsServer() : null;
    await using stores = new QueueStores(server?.url);
    const circular: unknown[] = [];
    circular.push(circular);
    for (const data of [undefined, () => {}, Symbol("s"), 5n, circular]) {
      await assertRejects(() => stores.publishJob("checks", data), TypeError);
    }
    await assertRejects(() => stores.publishJob("checks", undefined), TypeError, "'data' must be a JSON value");
    await assertRejects(() => stores.jobQueue("checks").publishMany({} as never), TypeError, "'jobs' must be an array");
  });

  Deno.test(`JobQueue.consume and consumeJobs throw for each bad option and name it${where}`, async () => {
    await using server = connected ? await startNatsServer() : null;
    await using stores = new QueueStores(server?.url);
    const queue = stores.jobQueue("checks");
    for (const [options, kind, names] of CONSUME) {
      const title = Deno.inspect(options);
      const error = assertThrows(() => queue.consume(() => {}, options as ConsumeOptions), kind, names, title);
      assertEquals(error.message.startsWith("Cannot consume jobs as "), true, error.message);
      await assertRejects(() => stores.consumeJobs("checks", () => {}, options as ConsumeOptions), kind, names, title);
    }
    assertThrows(() => queue.consume("handler" as never), TypeError, "'handler' must be a function");
    await assertRejects(() => stores.consumeJobs("checks", null as never), TypeError, "'handler' must be a function");
  });

  Deno.test(`JobQueue.get, cancel, redrive and discard throw for what is no id${where}`, async () => {
    await using server = connected ? await startNatsServer() : null;
    await using stores = new QueueStores(server?.url);
    const queue = stores.jobQueue("checks");
    for (const call of ["get", "cancel", "redrive", "discard"] as const) {
      for (const id of ["", 5, undefined, null, "\ud800"]) {
        await assertRejects(() => queue[call](id as string), TypeError, "'id'", `${call} ${id}`);
      }
      await assertRejects(() => queue[call]("x".repeat(3_001)), RangeError, "'id'");
    }
  });
}

Deno.test("jobQueue throws for a bad name or option and names it", async () => {
  await using stores = new QueueStores(undefined);
  for (const name of ["", "a.b", "a b", "*", "ü", "x".repeat(65)]) {
    assertThrows(() => stores.jobQueue(name), RangeError, "its name must be");
    await assertRejects(() => stores.publishJob(name, 1), RangeError, "its name must be");
    await assertRejects(() => stores.consumeJobs(name, () => {}), RangeError, "its name must be");
  }
  assertThrows(() => stores.jobQueue(7 as never), TypeError, "must be a string");
  for (const [options, kind, names] of QUEUE) {
    assertThrows(() => stores.jobQueue("checks", options as QueueOptions), kind, names, Deno.inspect(options));
  }
  assertInstanceOf(stores.jobQueue("x".repeat(64)), Object);
});

Deno.test("JobConsumer.stop throws for a negative deadline", async () => {
  await using stores = new QueueStores(undefined);
  await using consumer = stores.jobQueue("checks").consume(() => {});
  assertThrows(() => consumer.stop({ deadline: -1 }), RangeError, "'deadline'");
});
