import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { Proxy } from "../../_support/proxy.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

/** Headers that a publish with these options has beyond those of every publish. */
async function headersOf(options: Parameters<ReturnType<QueueStores["jobQueue"]>["publish"]>[1]) {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await stores.jobQueue("checks").publish({ url: "u" }, { id: "a.1", ...options });
  const [{ subject, headers, time, body }] = await foreign.messages("WQ_checks");
  assertEquals(body, '{"url":"u"}');
  assertEquals(headers["Nats-Expected-Last-Subject-Sequence"], "0");
  assertEquals(headers["Nats-Expected-Last-Subject-Sequence-Subject"], "wq.checks.*.*.=YS4x");
  assert(headers["Nats-Msg-Id"].length > 0);
  const { "Nats-Msg-Id": messageId, ...rest } = headers;
  for (const name of Object.keys(rest)) if (name.startsWith("Nats-Expected-")) delete rest[name];
  return { subject, messageId, headers: rest, stored: Date.parse(time) };
}

Deno.test("JobQueue.publish stores a plain job on its ready subject, guarded by its id, with a message id and no more", async () => {
  const { subject, headers } = await headersOf({});
  assertEquals(subject, "wq.checks.ready.normal.=YS4x");
  assertEquals(headers, {});
});

for (const priority of ["high", "normal", "low"] as const) {
  Deno.test(`JobQueue.publish stores a job of priority ${priority} under that word`, async () => {
    const { subject, headers } = await headersOf({ priority });
    assertEquals(subject, `wq.checks.ready.${priority}.=YS4x`);
    assertEquals(headers, {});
  });
}

Deno.test("JobQueue.publish sends a job's own settings in headers", async () => {
  const { headers } = await headersOf({
    maxAttempts: 7,
    timeout: 1_500,
    backoff: { base: 10, max: 20 },
    keepResult: 60_000,
    headers: { traceparent: "00-1-2-01", "X-Tenant": "nörd" },
  });
  assertEquals(headers, {
    "Job-Max-Attempts": "7",
    "Job-Timeout": "1500",
    "Job-Backoff": '{"base":10,"max":20}',
    "Job-Keep-Result": "60000",
    traceparent: "00-1-2-01",
    "X-Tenant": "nörd",
  });
});

Deno.test("JobQueue.publish sends each kind of backoff as JSON", async () => {
  assertEquals((await headersOf({ backoff: 250 })).headers, { "Job-Backoff": "250" });
  assertEquals((await headersOf({ backoff: [1, 20, 300] })).headers, { "Job-Backoff": "[1,20,300]" });
});

Deno.test("JobQueue.publish sends the end of a ttl as a time", async () => {
  const { headers, stored } = await headersOf({ ttl: 90_000 });
  const { "Job-Expires-At": expires, ...rest } = headers;
  assertEquals(rest, {});
  assertEquals(new Date(expires).toISOString(), expires);
  assertLess(Math.abs(Date.parse(expires) - stored - 90_000), 10_000);
});

Deno.test("JobQueue.publish makes the message id of a requestId", async () => {
  assertEquals((await headersOf({ requestId: "order 1" })).messageId, "order 1");
});

Deno.test("JobQueue.publish stores a delayed job as a schedule whose target is its ready subject", async () => {
  const { subject, headers, messageId, stored } = await headersOf({ delay: 60_000, priority: "low" });
  assertEquals(subject, "wq.checks.later.low.=YS4x");
  assertEquals(headers["Nats-Schedule-Target"], "wq.checks.ready.low.=YS4x");
  assertEquals(headers["Job-Nonce"], messageId);
  assertLess(Math.abs(Date.parse(headers["Job-Enqueued-At"]) - stored), 10_000);
  const due = /^@at (\S+)$/.exec(headers["Nats-Schedule"]);
  assertLess(Math.abs(Date.parse(due![1]) - stored - 60_000), 10_000);
});

Deno.test("JobQueue.publish schedules a job for its runAt", async () => {
  const runAt = new Date(Date.now() + 3_600_000);
  const { subject, headers } = await headersOf({ runAt });
  assertEquals(subject, "wq.checks.later.normal.=YS4x");
  assertEquals(headers["Nats-Schedule"], `@at ${runAt.toISOString()}`);
});

Deno.test("JobQueue.publish takes a delay of 0 for none", async () => {
  const { subject, headers } = await headersOf({ delay: 0 });
  assertEquals(subject, "wq.checks.ready.normal.=YS4x");
  assertEquals(headers, {});
});

Deno.test("JobQueue.publish puts a job with a key into the partition of FNV-1a of its UTF-8, modulo 16", async () => {
  // FNV-1a (32 bit): "" 0x811c9dc5, "a" 0xe40c292c, "foobar" 0xbf9cf968; "ü" is C3 BC, 0xb5ff11bb.
  for (const [key, partition] of [["a", 0xc], ["foobar", 0x8], ["ü", fnv1a("ü") % 16]] as const) {
    const { subject, headers } = await headersOf({ key });
    assertEquals(subject, `wq.checks.keyed.${partition}.=YS4x`);
    assertEquals(headers, { "Job-Key": key });
  }
});

function fnv1a(text: string): number {
  let hash = 0x811c9dc5n;
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x01000193n) % 2n ** 32n;
  return Number(hash);
}

Deno.test("A queue's stream is what the wire contract says, and refuses a misspelt priority", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await stores.jobQueue("checks", { lease: 5_000 }).open();
  const { config } = (await foreign.stream("WQ_checks"))!;
  assertEquals(config.retention, "workqueue");
  assertEquals(config.duplicate_window, 30e9);
  assertEquals(config.subjects.toSorted(), [
    "wq.checks.every.*",
    "wq.checks.keyed.*.*",
    "wq.checks.later.high.*",
    "wq.checks.later.low.*",
    "wq.checks.later.normal.*",
    "wq.checks.ready.high.*",
    "wq.checks.ready.low.*",
    "wq.checks.ready.normal.*",
  ]);
  const consumers: unknown[] = [];
  for (const name of ["high", "normal", "low"]) {
    const { config } = await foreign.api<{ config: Record<string, unknown> }>(`CONSUMER.INFO.WQ_checks.${name}`);
    const { ack_policy, ack_wait, max_deliver, max_ack_pending, filter_subject } = config;
    consumers.push({ ack_policy, ack_wait, max_deliver, max_ack_pending, filter_subject });
  }
  assertEquals(
    consumers,
    ["high", "normal", "low"].map((name) => ({
      ack_policy: "explicit",
      ack_wait: 5e9,
      max_deliver: -1,
      max_ack_pending: -1,
      filter_subject: `wq.checks.ready.${name}.*`,
    })),
  );
  await assertRejects(() => foreign.publish("wq.checks.ready.urgent.a1", "{}"), Error, "no responders");
});

Deno.test("JobQueue.open changes nothing of a queue that is there", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await stores.jobQueue("checks", { lease: 5_000, dedupe: 60_000 }).open();
  const changes: string[] = [];
  const listening = foreign.connection.subscribe("$JS.API.*.*.>", {
    callback: (_error, { subject }) => void changes.push(subject),
  });
  await foreign.connection.flush();
  await using others = new QueueStores(server.url);
  assertEquals(await others.jobQueue("checks", { lease: 5_000, dedupe: 60_000 }).open(), true);
  assertEquals(await others.jobQueue("checks").open(), true);
  await foreign.connection.flush();
  assertEquals(changes.filter((subject) => !subject.includes(".INFO.")), []);
  assert(changes.length > 0);
  listening.unsubscribe();
});

Deno.test("JobQueue.publish has no need of a guard for an id that it has just made, except when another session sends it again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1);
  const [{ headers }] = await foreign.messages("WQ_checks");
  assertEquals(Object.keys(headers), ["Nats-Msg-Id"]);
  const sent: { guard: string; id: string }[] = [];
  foreign.connection.subscribe("wq.checks.ready.>", {
    callback: (_, { headers }) => {
      sent.push({ guard: headers!.get("Nats-Expected-Last-Subject-Sequence"), id: headers!.get("Nats-Msg-Id") });
    },
  });
  await foreign.connection.flush();
  let lost = 0;
  const isAck = (payload: string) => /^\{"stream":"WQ_checks", ?"seq":\d+/.test(payload);
  // Within a session the message id tells the repeat from another job.
  proxy.tampering.drop = (_, payload) => isAck(payload) && lost++ === 0;
  const receipt = await queue.publish(2);
  assertEquals([receipt?.sequence, receipt?.duplicate], [2, false]);
  await waitUntil(() => sent.length >= 2);
  assertEquals(new Set(sent.map(({ id, guard }) => `${id} ${guard}`)).size, 1);
  assertEquals(sent[0].guard, "");
  // Another session may be one of a server that has forgotten the message id.
  proxy.tampering.drop = (_, payload) => {
    if (!isAck(payload) || lost++ !== 2) return false;
    proxy.cut();
    return true;
  };
  lost = 2;
  const again = await queue.publish(3);
  assertEquals([again?.sequence, again?.duplicate], [3, false]);
  await waitUntil(() => new Set(sent.map(({ id }) => id)).size === 2 && sent.at(-1)!.guard === "0");
  const guards = sent.filter(({ id }) => id === sent.at(-1)!.id).map(({ guard }) => guard);
  assertEquals([guards[0], guards.at(-1)], ["", "0"]);
});
