import { assert, assertEquals, assertMatch } from "@std/assert";
import type { JetStreamStores, JobConsumer, PublishOptions } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { reload } from "../../_support/reload.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

/** Users `admin`, and `worker`, who may not publish to some subjects. */
function users(...denied: string[]): string {
  return `authorization { users: [{ user: admin, password: x }, { user: worker, password: x, ${deny(denied)} }] }`;
}

function deny(subjects: string[]): string {
  return `permissions: { publish: { deny: [${["none", ...subjects].map((subject) => `"${subject}"`).join(", ")}] } }`;
}

function storesOf(url: string, user: string): QueueStores {
  return new QueueStores(url, { user, password: "x" });
}

/** Waits until it says so: on a busy machine it may say first that its process was stopped. */
async function untilImpaired(worker: JobConsumer, reason: RegExp): Promise<void> {
  await waitUntil(() => worker.status().state === "impaired" && reason.test(worker.status().reason ?? ""));
}

/** Limits a stream to two messages; returns what lifts the limit. */
async function limitMessages(foreign: ForeignClient, stream: string): Promise<() => Promise<unknown>> {
  const { config } = (await foreign.stream(stream))!;
  await foreign.api(`STREAM.UPDATE.${stream}`, { ...config, discard: "new", max_msgs: 2 });
  return () => foreign.api(`STREAM.UPDATE.${stream}`, { ...config, max_msgs: -1 });
}

/** A handler of which the jobs named `fails…` fail. */
function mixedRuns(): RecordedRuns {
  return new RecordedRuns(({ id }) => {
    if (id.startsWith("fails")) throw new Error("no");
  });
}

async function publishAll(stores: JetStreamStores, jobs: Record<string, PublishOptions>): Promise<void> {
  for (const [id, options] of Object.entries(jobs)) await stores.jobQueue("checks").publish(1, { id, ...options });
}

const DENIED: [what: string, subject: string, part: RegExp, jobs: Record<string, PublishOptions>][] = [
  ["dead letters", "wqdead.>", /dead letters: .*"wqdead\.checks\./, {}],
  ["acknowledgements", "$JS.ACK.>", /acknowledgements: .*"\$JS\.ACK\./, {}],
  ["moves", "wq.>", /moves: .*"wq\.checks\./, {}],
  ["the stream of dead letters", "$JS.API.STREAM.INFO.WQDEAD_checks", /dead letters: .*WQDEAD_checks"/, {}],
  ["making the stream of dead letters", "$JS.API.STREAM.CREATE.WQDEAD_checks", /dead letters: .*WQDEAD_checks"/, {}],
  ["results", "$KV.wq_checks.>", /results: .*"\$KV\.wq_checks\./, {
    keepResult: { keepResult: 60_000 },
    keyed: { key: "k" },
  }],
  ["reading results", "$JS.API.STREAM.MSG.GET.KV_wq_checks", /results: .*MSG\.GET\.KV_wq_checks"/, {
    keepResult: { keepResult: 60_000 },
    keyed: { key: "k" },
  }],
  [
    "making the bucket of results",
    "$JS.API.STREAM.CREATE.KV_wq_checks",
    /results: .*KV_wq_checks"/,
    { keepResult: { keepResult: 60_000 }, keyed: { key: "k" } },
  ],
];

for (const [what, subject, reason, jobs] of DENIED) {
  Deno.test(`JobConsumer starts no job that needs ${what}, which it is denied, and starts it when the right is granted`, async () => {
    await using server = await startNatsServer({ config: users(subject) });
    await using admin = storesOf(server.url, "admin");
    await using stores = storesOf(server.url, "worker");
    await admin.jobQueue("checks", { lease: 1_000 }).open();
    const needing = Object.keys(jobs).length > 0 ? jobs : { a: {}, b: {}, fails: { maxAttempts: 1 } };
    await publishAll(admin, needing);
    const runs = mixedRuns();
    await using worker = stores.jobQueue("checks").consume(runs.handler, { concurrency: 2 });
    await untilImpaired(worker, reason);
    // It tries again, several times.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assertEquals(runs.ids, []);
    assertEquals(worker.status().state, "impaired");
    const lines = stores.log.filter((line) => line.includes("starts no jobs"));
    assertEquals(lines.length, 1, lines.join("\n"));
    assertMatch(lines[0], reason);
    await reload(server, users(subject), users());
    const { ended } = worker.status();
    await waitUntil(() => {
      Object.assign(ended, worker.status().ended);
      return ended.completed + ended.dead === Object.keys(needing).length;
    });
    assertEquals(runs.ids.toSorted(), Object.keys(needing).toSorted());
    await waitUntil(() => worker.status().state === "serving");
    assert(stores.log.some((line) => line.includes("starts jobs again")));
  });
}

Deno.test("JobConsumer completes a job once whose value is no JSON when it is denied results during the run", async () => {
  await using server = await startNatsServer({ config: users() });
  await using admin = storesOf(server.url, "admin");
  await using stores = storesOf(server.url, "worker");
  await admin.jobQueue("checks", { lease: 10_000 }).open();
  await publishAll(admin, { big: { keepResult: 60_000 } });
  const gate = Promise.withResolvers<bigint>();
  const runs = new RecordedRuns(() => gate.promise);
  await using worker = stores.jobQueue("checks").consume(runs.handler);
  await runs.started(1);
  await reload(server, users(), users("$KV.wq_checks.>"));
  gate.resolve(1n);
  await waitUntil(() => worker.status().ended.completed === 1);
  assertEquals((await admin.jobQueue("checks").counts())?.active, 0);
  assertEquals(runs.all.length, 1);
});

Deno.test("JobConsumer starts the jobs that need no results while it is denied these", async () => {
  const subject = "$KV.wq_checks.>";
  await using server = await startNatsServer({ config: users(subject) });
  await using admin = storesOf(server.url, "admin");
  await using stores = storesOf(server.url, "worker");
  await admin.jobQueue("checks", { lease: 1_000 }).open();
  await publishAll(admin, { first: { keepResult: 60_000 }, second: { keepResult: 60_000 } });
  for (let n = 0; n < 20; n++) await publishAll(admin, { [`plain ${n}`]: {} });
  const runs = mixedRuns();
  await using worker = stores.jobQueue("checks").consume(runs.handler, { concurrency: 2 });
  await waitUntil(() => worker.status().ended.completed === 20);
  assert(runs.ids.every((id) => id.startsWith("plain")), String(runs.ids));
  await reload(server, users(subject), users());
  await waitUntil(() => worker.status().ended.completed === 22);
  assertEquals(runs.all.length, 22);
});

for (const [what, subject] of [["acknowledgements", "$JS.ACK.>"], ["dead letters", "wqdead.>"], ["moves", "wq.>"]]) {
  Deno.test(`JobConsumer runs no job twice that it has run when it is denied ${what}`, async () => {
    await using server = await startNatsServer({ config: users() });
    await using admin = storesOf(server.url, "admin");
    await using stores = storesOf(server.url, "worker");
    await admin.jobQueue("checks", { lease: 3_000 }).open();
    await publishAll(admin, { works: {}, fails: { maxAttempts: 1 }, "fails twice": { maxAttempts: 2, backoff: 0 } });
    const gate = Promise.withResolvers<void>();
    const runs = new RecordedRuns(async ({ id }) => {
      await gate.promise;
      if (id.startsWith("fails")) throw new Error("no");
    });
    await using worker = stores.jobQueue("checks").consume(runs.handler, { concurrency: 3 });
    await runs.started(3);
    await reload(server, users(), users(subject));
    gate.resolve();
    await untilImpaired(worker, new RegExp(what));
    // Longer than the lease, so that what cannot be extended is delivered again, also while no jobs are taken.
    await new Promise((resolve) => setTimeout(resolve, 6_500));
    const attempts = () => runs.all.map(({ id, attempt }) => `${id} ${attempt}`).toSorted();
    assertEquals(attempts(), [...new Set(attempts())]);
    await reload(server, users(subject), users());
    await waitUntil(() => worker.status().ended.dead === 2);
    await waitUntil(async () => (await admin.jobQueue("checks").counts())?.active === 0);
    assertEquals(attempts(), ["fails 1", "fails twice 1", "fails twice 2", "works 1"]);
  });
}

Deno.test("JobConsumer runs no job for which the account has no stream of dead letters left", async () => {
  const account = (streams: number) =>
    `accounts { A { jetstream: { max_file: 100MB, max_streams: ${streams} }, users: [{ user: a, password: x }] } }`;
  await using server = await startNatsServer({ config: account(1) });
  await using stores = storesOf(server.url, "a");
  const queue = stores.jobQueue("checks", { lease: 1_000 });
  await publishAll(stores, { works: { keepResult: 60_000 }, fails: { maxAttempts: 1 } });
  const runs = mixedRuns();
  await using worker = queue.consume(runs.handler);
  await untilImpaired(worker, /maximum number of streams reached/);
  assertEquals(runs.all.length, 0);
  await reload(server, account(1), account(3));
  await waitUntil(() => worker.status().ended.completed === 1 && worker.status().ended.dead === 1);
  assertEquals(runs.ids.toSorted(), ["fails", "works"]);
  assertEquals(await queue.result("works"), { value: null });
});

Deno.test("JobConsumer starts no job while the account has too few consumers, says so, and starts it when there are more", async () => {
  const account = (consumers: number) =>
    `accounts { A { jetstream: { max_file: 100MB, max_consumers: ${consumers} }, users: [{ user: a, password: x }] } }`;
  await using server = await startNatsServer({ config: account(2) });
  await using stores = storesOf(server.url, "a");
  const queue = stores.jobQueue("checks");
  await publishAll(stores, { works: {} });
  const runs = mixedRuns();
  await using worker = queue.consume(runs.handler);
  await untilImpaired(worker, /maximum consumers limit reached/);
  assertEquals(runs.all.length, 0);
  await reload(server, account(2), account(20));
  await waitUntil(() => worker.status().ended.completed === 1);
  assertEquals(runs.ids, ["works"]);
});

Deno.test("JobConsumer runs each job once though the stream of dead letters is full, and buries them when there is room", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 10_000 });
  const runs = mixedRuns();
  {
    await using first = queue.consume(runs.handler);
    await publishAll(stores, { "fails 0": { maxAttempts: 1 } });
    await waitUntil(() => first.status().ended.dead === 1);
  }
  const lift = await limitMessages(foreign, "WQDEAD_checks");
  for (let n = 1; n <= 40; n++) await publishAll(stores, { [`fails ${n}`]: { maxAttempts: 1 } });
  await using worker = queue.consume(runs.handler, { concurrency: 3 });
  await untilImpaired(worker, /dead letters: .*(full|maximum messages)/);
  const ran = runs.all.length;
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  assertEquals(runs.all.length, ran);
  assert(ran < 20, `${ran} runs with room for one dead letter and a concurrency of 3`);
  await lift();
  await waitUntil(() => worker.status().ended.dead === 40);
  assertEquals(runs.ids.toSorted(), Array.from({ length: 41 }, (_, n) => `fails ${n}`).toSorted());
  assertEquals((await queue.counts())?.dead, 41);
});

Deno.test("JobConsumer completes each job once though the bucket of results is full, and keeps results again when there is room", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 10_000 });
  const runs = mixedRuns();
  {
    await using first = queue.consume(runs.handler);
    await publishAll(stores, { "job 0": { keepResult: 60_000 } });
    await waitUntil(() => first.status().ended.completed === 1);
  }
  const lift = await limitMessages(foreign, "KV_wq_checks");
  for (let n = 1; n <= 40; n++) await publishAll(stores, { [`job ${n}`]: { keepResult: 60_000 } });
  await using worker = queue.consume(runs.handler, { concurrency: 3 });
  await untilImpaired(worker, /results: .*(full|maximum messages)/);
  const ran = runs.all.length;
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assertEquals(runs.all.length, ran);
  assert(ran < 20, `${ran} runs with room for one result and a concurrency of 3`);
  await lift();
  await waitUntil(() => worker.status().ended.completed === 40);
  assertEquals(runs.ids.toSorted(), Array.from({ length: 41 }, (_, n) => `job ${n}`).toSorted());
  assertEquals((await queue.counts())?.dead, 0);
});

Deno.test("JobConsumer starts no job while the account's storage is used up", async () => {
  const account = (max: string) =>
    `accounts { A { jetstream: { max_file: ${max} }, users: [{ user: a, password: x }] } }`;
  await using server = await startNatsServer({ config: account("1MB") });
  await using stores = storesOf(server.url, "a");
  const queue = stores.jobQueue("checks", { lease: 1_000 });
  await publishAll(stores, { fails: { maxAttempts: 1 } });
  // Fills the account up to a few kilobytes.
  const bucket = stores.kvBucket("other");
  for (let n = 0; await bucket.put(`k${n}`, "x".repeat(20_000)).catch(() => null) !== null; n++);
  const runs = mixedRuns();
  await using worker = queue.consume(runs.handler);
  await untilImpaired(worker, /dead letters: .*(storage|resource limits)/);
  assertEquals(runs.all.length, 0);
  await reload(server, account("1MB"), account("10MB"));
  await waitUntil(() => worker.status().ended.dead === 1);
  assertEquals(runs.ids, ["fails"]);
});

Deno.test("JobConsumer runs each job once, and no more than it can have at a time, while a full account refuses what no check foresees", async () => {
  const account = (max: string) =>
    `accounts { A { jetstream: { max_file: ${max} }, users: [{ user: a, password: x, ${deny(["$JS.API.INFO"])} }] } }`;
  await using server = await startNatsServer({ config: account("1MB") });
  await using stores = storesOf(server.url, "a");
  const queue = stores.jobQueue("checks", { lease: 1_000 });
  for (let n = 0; n < 12; n++) await queue.publish("x".repeat(5_000), { id: `fails ${n}`, maxAttempts: 1 });
  const runs = mixedRuns();
  await using worker = queue.consume(runs.handler, { concurrency: 2, priorities: ["high"] });
  await waitUntil(() => worker.status().state === "serving");
  const bucket = stores.kvBucket("other");
  for (const size of [20_000, 1_000]) {
    for (let n = 0; await bucket.put(`k${size} ${n}`, "x".repeat(size)).catch(() => null) !== null; n++);
  }
  await using second = queue.consume(runs.handler, { concurrency: 2, prefetch: 0 });
  await waitUntil(() => second.status().state === "impaired");
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  // What runs when the first refusal comes may end behind it.
  assert(runs.all.length <= 6, `${runs.all.length} runs`);
  // Room comes and goes as jobs end, and moves may be refused, too.
  const lines = stores.log.filter((line) => line.includes("starts no jobs"));
  assert(lines.length <= 3, lines.join("\n"));
  await reload(server, account("1MB"), account("10MB"));
  await waitUntil(() => second.status().ended.dead === 12, 40_000);
  assertEquals(runs.ids.toSorted(), Array.from({ length: 12 }, (_, n) => `fails ${n}`).toSorted());
});

for (const maxAttempts of [2, 1]) {
  Deno.test(`JobConsumer ends a job once (maxAttempts: ${maxAttempts}) that cannot be stored again under the server's lowered max_payload`, async () => {
    await using server = await startNatsServer({ config: "max_payload: 65536" });
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks", { lease: 2_000 });
    const data = "x".repeat(40_000);
    await queue.publish(data, { id: "a", maxAttempts, backoff: 0 });
    const gate = Promise.withResolvers<void>();
    const runs = new RecordedRuns(async ({ attempt }) => {
      await gate.promise;
      if (attempt === 1) throw new Error("no");
    });
    await using consumer = queue.consume(runs.handler);
    await runs.started(1);
    await reload(server, "max_payload: 65536", "max_payload: 32768");
    gate.resolve();
    if (maxAttempts === 1) {
      // It is delivered again, and not run again.
      await waitUntil(() => consumer.status().ended.released > 1);
      await reload(server, "max_payload: 32768", "max_payload: 65536");
      // A reload does not tell connected clients of the limit.
      await server.restart();
      await waitUntil(() => consumer.status().ended.dead === 1);
    } else await waitUntil(() => consumer.status().ended.completed === 1);
    assertEquals(runs.all.map(({ attempt }) => attempt), maxAttempts === 1 ? [1] : [1, 2]);
  });
}

for (
  const [what, options, behaves] of [["returned", {}, () => {}], ["thrown", { maxAttempts: 1 }, () => {
    throw new Error("no");
  }]] as const
) {
  Deno.test(`JobConsumer.stop gives back no job whose handler has ${what} and which could not be acknowledged: it is not run again`, async () => {
    const subject = "$JS.ACK.>";
    await using server = await startNatsServer({ config: users() });
    await using stores = storesOf(server.url, "worker");
    const queue = stores.jobQueue("checks", { lease: 3_000 });
    await queue.publish(1, { id: "a", ...options });
    const gate = Promise.withResolvers<void>();
    const runs = new RecordedRuns(async () => {
      await gate.promise;
      behaves();
    });
    const first = queue.consume(runs.handler);
    await runs.started(1);
    await reload(server, users(), users(subject));
    gate.resolve();
    await waitUntil(() => first.status().ended.released > 0);
    await first.stop({ deadline: 0 });
    await reload(server, users(subject), users());
    // The next one has no time for it.
    await queue.publish(1, { id: "filler", priority: "high" });
    const busy = queue.consume(() => new Promise(() => {}), { prefetch: 1 });
    await waitUntil(() => busy.status().active === 1 && busy.status().prefetched === 1);
    await queue.cancel("filler");
    await busy.stop({ deadline: 200 });
    await using last = queue.consume(runs.handler);
    await waitUntil(async () => await queue.get("a") === null && last.status().active === 0);
    assertEquals(runs.all.length, 1);
    assertEquals((await queue.counts())?.dead, what === "thrown" ? 1 : 0);
  });
}

Deno.test("JobConsumer that may not look messages up starts nothing until it may, and says so once", async () => {
  const subject = "$JS.API.STREAM.MSG.GET.WQ_checks";
  await using server = await startNatsServer({ config: users(subject) });
  await using admin = storesOf(server.url, "admin");
  await using stores = storesOf(server.url, "worker");
  await using foreign = await ForeignClient.connect(server.url, { user: "admin", pass: "x" });
  await admin.jobQueue("checks", { lease: 1_000 }).open();
  await publishAll(admin, { first: {} });
  // A retry whose worker died before it removed the message that this one replaces.
  await foreign.publish("wq.checks.ready.normal.moved", "1", { "Job-Replaces": "1" });
  const runs = mixedRuns();
  await using worker = stores.jobQueue("checks").consume(runs.handler);
  await untilImpaired(worker, /^look-ups: .*STREAM\.MSG\.GET/);
  // It is checked several times.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  assertEquals(worker.status().state, "impaired");
  assertEquals(stores.log.filter((line) => /starts (no jobs|jobs again)/.test(line)).length, 1, stores.log.join("\n"));
  assert(!runs.ids.includes("moved"), String(runs.ids));
  await reload(server, users(subject), users());
  await waitUntil(() => runs.ids.includes("moved"));
  await waitUntil(() => worker.status().state === "serving");
});

Deno.test("JobConsumer starts no further job while the end of a run is refused, though all checks pass", async () => {
  const subject = "wqdead.checks.fails";
  await using server = await startNatsServer({ config: users(subject) });
  await using admin = storesOf(server.url, "admin");
  await using stores = storesOf(server.url, "worker");
  await admin.jobQueue("checks", { lease: 10_000 }).open();
  await publishAll(admin, { fails: { maxAttempts: 1 } });
  const runs = mixedRuns();
  await using worker = stores.jobQueue("checks").consume(runs.handler);
  await untilImpaired(worker, /^dead letters: .*"wqdead\.checks\.fails"/);
  await publishAll(admin, { next: {} });
  // Several checks pass meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  assertEquals(runs.ids, ["fails"]);
  assertEquals(worker.status().state, "impaired");
  await reload(server, users(subject), users());
  await waitUntil(() => worker.status().ended.dead === 1 && worker.status().ended.completed === 1);
  assertEquals(runs.ids, ["fails", "next"]);
});

Deno.test("JobConsumer.stop gives back no job whose end another worker of the process is still reporting", async () => {
  const subjects = ["wqdead.>", "$KV.wq_checks.>"];
  await using server = await startNatsServer({ config: users() });
  await using admin = storesOf(server.url, "admin");
  await using stores = storesOf(server.url, "worker");
  await using foreign = await ForeignClient.connect(server.url, { user: "admin", pass: "x" });
  const queue = stores.jobQueue("checks", { lease: 2_000 });
  const sequence = (await queue.publish(1, { id: "a", maxAttempts: 1 }))!.sequence;
  const gate = Promise.withResolvers<void>();
  const runs = new RecordedRuns(async () => {
    await gate.promise;
    throw new Error("no");
  });
  await using first = queue.consume(runs.handler, { prefetch: 0, priorities: ["normal"] });
  await runs.started(1);
  const busy = queue.consume(() => new Promise(() => {}), { prefetch: 1, priorities: ["high", "normal"] });
  await admin.jobQueue("checks").publish(1, { id: "filler", priority: "high" });
  await waitUntil(() => busy.status().active === 1);
  await reload(server, users(), users(...subjects));
  gate.resolve();
  await untilImpaired(first, /^dead letters: /);
  // The server delivers it again, to the other worker.
  foreign.connection.publish(`$JS.ACK.WQ_checks.normal.1.${sequence}.1.0.0`, "-NAK");
  await waitUntil(() => busy.status().prefetched === 1);
  await busy.stop({ deadline: 200 });
  assertEquals((await admin.jobQueue("checks").get("a"))?.sequence, sequence);
  await admin.jobQueue("checks").cancel("filler");
  await reload(server, users(...subjects), users());
  await waitUntil(() => first.status().ended.dead === 1);
  await waitUntil(async () => await admin.jobQueue("checks").get("a") === null);
  assertEquals(runs.all.length, 1);
});
