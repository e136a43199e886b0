import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Job, type JobSchema, RetryJobError } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { QueueStores } from "../_support/queue_stores.ts";
import { RecordedRuns } from "./_recorded_runs.ts";

/** An error whose property throws as it is read. */
function broken(...properties: string[]): Error {
  const error = new Error("hidden");
  for (const property of properties) {
    Object.defineProperty(error, property, {
      get() {
        throw new Error(`no ${property}`);
      },
    });
  }
  return error;
}

const untouchable = new Proxy({}, {
  getPrototypeOf() {
    throw new Error("no prototype");
  },
  get() {
    throw new Error("no property");
  },
});

const revoked = Proxy.revocable({}, {});
revoked.revoke();

Deno.test("JobConsumer counts one attempt for each run whatever its handler throws, and reads it once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const thrown: Record<string, unknown> = {
    stack: broken("stack"),
    message: broken("message", "name"),
    cause: broken("cause"),
    all: broken("message", "stack", "name", "cause"),
    untouchable,
    revoked: revoked.proxy,
  };
  const runs = new RecordedRuns<string>(({ data }) => {
    throw thrown[data];
  });
  await using consumer = queue.consume(runs.handler, { maxAttempts: 2, backoff: 0, concurrency: 6 });
  for (const id of Object.keys(thrown)) await queue.publish(id, { id });
  await waitUntil(() => consumer.status().ended.dead === 6);
  const wanted = Object.keys(thrown).flatMap((id) => [`${id} 1`, `${id} 2`]);
  assertEquals(runs.all.map(({ id, attempt }) => `${id} ${attempt}`).toSorted(), wanted.toSorted());
  const letters = await Array.fromAsync(queue.deadLetters());
  const reasons = Object.fromEntries(letters.map(({ id, reason }) => [id, reason]));
  assertEquals([reasons.stack, reasons.cause, reasons.message], ["hidden", "hidden", "[object Error]"]);
});

Deno.test("JobConsumer postpones a job by a second if the delay of its RetryJobError cannot be used", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(() => {
    throw Object.assign(new RetryJobError(), { delay: "soon" });
  });
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().ended.postponed === 1);
  assertEquals(consumer.status().ended.released, 0);
});

Deno.test("JobConsumer calls a handler maxAttempts times whatever its backoff function returns", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const odd: Record<string, () => unknown> = {
    bigint: () => 5n,
    promise: () => Promise.reject(new Error("async")),
    text: () => "5",
    none: () => undefined,
  };
  for (const [id, backoff] of Object.entries(odd)) {
    const runs = new RecordedRuns(() => {
      throw new Error("no");
    });
    await using consumer = queue.consume(runs.handler, { maxAttempts: 2, backoff: backoff as () => number });
    await queue.publish(1, { id });
    await waitUntil(() => consumer.status().ended.dead === 1);
    assertEquals(runs.all.map(({ attempt }) => attempt), [1, 2], id);
  }
  const lines = stores.log.filter((line) => line.includes("'backoff' must return a number"));
  assertEquals(lines.length, 4, "one line for each consumer");
});

/** A schema whose `validate` is this function. */
function schemaOf(validate: (value: unknown) => unknown): JobSchema<unknown> {
  return { "~standard": { validate } } as JobSchema<unknown>;
}

Deno.test("JobQueue.publish ends within its deadline though the queue's schema never settles", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url, { timeout: 300 });
  const queue = stores.jobQueue("checks", { schema: schemaOf(() => new Promise(() => {})) });
  const error = await assertRejects(() => queue.publish(1), TypeError);
  assertStringIncludes(error.message, "has not settled within 300 ms");
  await assertRejects(() => queue.publishMany([{ data: 1 }]), TypeError);
});

Deno.test("JobQueue.publish is a TypeError if the queue's schema throws or returns no result", async () => {
  await using stores = new QueueStores(undefined);
  const odd: [validate: () => unknown, message: string][] = [
    [() => {
      throw broken("message", "name");
    }, "schema failed: [object Error]"],
    [() => undefined, "must return an object"],
    [() => ({ issues: 5 }), "schema"],
    [() => ({ issues: [broken("message")] }), "schema"],
  ];
  for (const [validate, message] of odd) {
    const queue = stores.jobQueue("checks", { schema: schemaOf(validate) });
    const error = await assertRejects(() => queue.publish(1), TypeError);
    assertStringIncludes(error.message, message);
  }
});

Deno.test("JobConsumer ends an attempt whose schema never settles at the job's timeout, and runs the next job", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using workers = new QueueStores(server.url);
  const validate = (value: unknown) => value === "stuck" ? new Promise(() => {}) : { value };
  const queue = stores.jobQueue<string>("checks");
  const runs = new RecordedRuns();
  await queue.publish("stuck", { id: "stuck", timeout: 200, maxAttempts: 2, backoff: 0 });
  await queue.publish("fine", { id: "fine" });
  await using consumer = workers.jobQueue("checks", { schema: schemaOf(validate) }).consume(runs.handler);
  await waitUntil(() => consumer.status().ended.dead === 1 && consumer.status().ended.completed === 1);
  assertEquals(runs.ids, ["fine"]);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.attempts], ["stuck", 2]);
  assertStringIncludes(letter.reason, "has not settled within 200 ms");
});

Deno.test("JobConsumer counts an attempt when the queue's schema throws, as that may pass", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using workers = new QueueStores(server.url);
  let calls = 0;
  const validate = (value: unknown) => {
    if (++calls === 1) throw new Error("not now");
    return { value };
  };
  const runs = new RecordedRuns();
  await stores.jobQueue("checks").publish(1, { id: "a" });
  await using consumer = workers.jobQueue("checks", { schema: schemaOf(validate) }).consume(runs.handler, {
    backoff: 0,
  });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ attempt }) => attempt), [2]);
});

Deno.test("Job.progress is a TypeError for what JSON cannot hold, and the run continues", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const odd = [1n, cycle, undefined, () => {}, Symbol("s"), { toJSON: () => broken("message").message }];
  await using consumer = queue.consume(async (job: Job) => {
    for (const value of odd) {
      const error = await assertRejects(() => job.progress(value), TypeError);
      assert(error.message.startsWith("Cannot report the progress as 'value"), error.message);
    }
  }, { maxAttempts: 1 });
  await queue.publish(1);
  await waitUntil(() => consumer.status().ended.completed + consumer.status().ended.dead === 1);
  assertEquals(consumer.status().ended.completed, 1);
});
