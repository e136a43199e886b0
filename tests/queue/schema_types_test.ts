import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import type { JobEvent, JobInfo, JobQueue } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { QueueStores } from "../_support/queue_stores.ts";

/** Compiles only if both types are the same. */
function same<A, B>(
  _same: (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false,
): void {}

interface CheckInput {
  url: string;
  at: string;
  tries?: number | undefined;
}

interface CheckOutput {
  url: string;
  at: Date;
  tries: number;
}

const ZodCheck = z.object({
  url: z.string(),
  at: z.string().transform((text) => new Date(text)),
  tries: z.number().default(3),
});
const ValibotCheck = v.object({
  url: v.string(),
  at: v.pipe(v.string(), v.transform((text) => new Date(text))),
  tries: v.optional(v.number(), 3),
});
const ArkCheck = type({ url: "string", at: "string.date.parse", tries: "number = 3" });

/** Publishes the input, and tells what is stored and what the handler gets. */
async function roundTrip<Out, In>(queue: JobQueue<Out, In>, data: In): Promise<{ stored: unknown; got: Out }> {
  await queue.publish(data, { id: "a" });
  const stored = (await queue.get("a"))?.data;
  const got: Out[] = [];
  await using consumer = queue.consume((job) => void got.push(job.data));
  await waitUntil(() => consumer.status().ended.completed === 1);
  return { stored, got: got[0] };
}

const AT = "2026-11-29T10:00:00.000Z";
const INPUT = { url: "https://example.com/", at: AT };
const OUTPUT: CheckOutput = { ...INPUT, at: new Date(AT), tries: 3 };

Deno.test("jobQueue takes the types of a zod schema: its input is published and stored, its output handled", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { schema: ZodCheck });
  same<Parameters<typeof queue.publish>[0], CheckInput>(true);
  queue.get("a") satisfies Promise<JobInfo<CheckInput> | null>;
  assertEquals(await roundTrip<CheckOutput, CheckInput>(queue, INPUT), { stored: INPUT, got: OUTPUT });
});

Deno.test("jobQueue takes the types of a valibot schema: its input is published and stored, its output handled", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { schema: ValibotCheck });
  same<Parameters<typeof queue.publish>[0], CheckInput>(true);
  assertEquals(await roundTrip<CheckOutput, CheckInput>(queue, INPUT), { stored: INPUT, got: OUTPUT });
});

Deno.test("jobQueue takes the types of an arktype schema: its input is published and stored, its output handled", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { schema: ArkCheck });
  assertEquals(await roundTrip<CheckOutput, { url: string; at: string; tries?: number }>(queue, INPUT), {
    stored: INPUT,
    got: OUTPUT,
  });
});

Deno.test("JobQueue with a schema keeps its input in schedules and dead letters, and redrives it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { schema: ZodCheck });
  await queue.publish(INPUT, { id: "a", maxAttempts: 1 });
  let fails = true;
  const got: CheckOutput[] = [];
  await using consumer = queue.consume((job) => {
    got.push(job.data);
    if (fails) throw new Error("not yet");
  });
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals((await queue.deadLetter("a"))?.data?.at, AT);
  fails = false;
  assertEquals(await queue.redrive("a"), 1);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(got, [OUTPUT, OUTPUT]);
});

Deno.test("JobQueue.publish refuses what its schema would not take from JSON any more", async () => {
  await using stores = new QueueStores(undefined);
  const queue = stores.jobQueue("checks", { schema: z.object({ at: z.date() }) });
  const error = await assertRejects(() => queue.publish({ at: new Date() }), TypeError);
  assertMatch(error.message, /does not fit the queue's schema: at: .*expected date/);
});

Deno.test("jobQueue without a schema has one type for what is published and what is handled", () => {
  const stores = new QueueStores(undefined);
  const mails = stores.jobQueue<{ to: string }>("mails");
  same<typeof mails, JobQueue<{ to: string }, { to: string }>>(true);
  const any = stores.jobQueue("any");
  same<typeof any, JobQueue<unknown, unknown>>(true);
  // @ts-expect-error: an explicit type has to fit the schema's input.
  stores.jobQueue<{ to: string }>("checks", { schema: ZodCheck });
});

Deno.test("JobQueue.waitFor and result have the type of what the handler is known to return", async () => {
  await using stores = new QueueStores(undefined);
  const queue = stores.jobQueue("checks");
  const waited = () => queue.waitFor<{ rows: number }>("a", { timeout: 1 });
  same<Awaited<ReturnType<typeof waited>>, { rows: number } | undefined>(true);
  assertEquals((await queue.result<{ rows: number }>("a"))?.value?.rows, undefined);
});

Deno.test("JobEvent has the properties of its type", () => {
  const details = (event: JobEvent) => {
    // @ts-expect-error: not all events have a reason.
    event.reason;
    if (event.type === "failed") return `${event.attempt.toFixed()} ${event.reason.trim()}`;
    return event.type === "progress" ? event.value : event.type;
  };
  assertEquals(details({ type: "failed", id: "a", at: new Date(), attempt: 2, reason: "no" }), "2 no");
});

Deno.test("JobQueue.publish names the path of what JSON cannot hold", async () => {
  await using stores = new QueueStores(undefined);
  const queue = stores.jobQueue("checks");
  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;
  const wrong: [unknown, string][] = [
    [{ tags: new Map() }, "data.tags"],
    [[new Set([1])], "data[0]"],
    [{ run: () => {} }, "data.run"],
    [{ n: { big: 1n } }, "data.n.big"],
    [{ cyclic }, "data.cyclic.self"],
  ];
  for (const [data, path] of wrong) {
    const error = await assertRejects(() => queue.publish(data), TypeError);
    assertMatch(error.message, new RegExp(`'${path.replace(/[[\].]/g, "\\$&")}' must be a JSON value`));
  }
});
