import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { type Job, type JobEvent, JobFailedError } from "../../../mod.ts";
import { startNatsCluster } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

const test = testFrom("2.14");

const WAIT = { timeout: 40_000 };

test("All features of a queue work with replicas on a cluster of three servers", async (t) => {
  await using cluster = await startNatsCluster();
  const [first, second, third] = cluster.servers.map(({ url }) => url);
  // Many consumers are made, each with an election: a slow machine needs longer than a call may by default.
  await using stores = openStores(first, WAIT);
  await using worker = openStores(second);
  await using other = openStores(third);
  await using foreign = await ForeignClient.connect(third, { reconnect: true });
  const queue = stores.jobQueue<string>("checks", { replicas: 3 });
  await queue.open();
  const ran: string[] = [];
  const handler = async (job: Job<string>): Promise<unknown> => {
    ran.push(job.id);
    if (job.data === "fail") throw new Error("broken");
    if (job.data === "progress") await job.progress("half");
    return `${job.data} done`;
  };
  const consumers = [worker, other].map((each) => each.jobQueue<string>("checks").consume(handler, { concurrency: 4 }));
  await waitUntil(() => consumers.every((consumer) => consumer.status().state === "serving"));

  await t.step("events, progress, results and waiting, from another server", async () => {
    const heard: JobEvent[] = [];
    const probed = new Set<string>();
    const following = (async () => {
      for await (const event of other.jobQueue("checks").events()) {
        if (event.id.startsWith("probe")) probed.add(event.id);
        else if (heard.push(event) === 3) break;
      }
    })();
    // Until all servers know of the listener, and the workers, too.
    for (const [n, url] of [first, second, third].entries()) {
      await using client = await ForeignClient.connect(url);
      await waitUntil(() => {
        client.connection.publish(`wqevt.checks.started.probe${n}`, JSON.stringify({ at: new Date(), attempt: 1 }));
        return probed.has(`probe${n}`);
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await queue.publish("progress", { id: "a", keepResult: 60_000 });
    assertEquals(await queue.waitFor("a", WAIT), "progress done");
    assertEquals(await other.jobQueue("checks").result("a"), { value: "progress done" });
    await within(following);
    assertEquals(heard.map(({ type, id }) => `${type} ${id}`), ["started a", "progress a", "completed a"]);
    await queue.publish("fail", { id: "dead", maxAttempts: 2, backoff: 10 });
    await assertRejects(() => queue.waitFor("dead", WAIT), JobFailedError, "broken");
    for (const stream of ["WQ_checks", "WQDEAD_checks", "KV_wq_checks"]) {
      const { config } = await foreign.request<{ config: { num_replicas: number } }>(`STREAM.INFO.${stream}`);
      assertEquals(config.num_replicas, 3, stream);
    }
  });

  await t.step("results are there for whoever waits, whichever replica answers", async () => {
    const ids = Array.from({ length: 100 }, (_, n) => `result${n}`);
    const waits = ids.map((id, n) => [stores, other][n % 2].jobQueue("checks").waitFor(id, WAIT));
    await queue.publishMany(ids.map((id) => ({ data: id, id, keepResult: 60_000 })));
    assertEquals(await Promise.all(waits), ids.map((id) => `${id} done`));
  });

  await t.step("keys keep their order", async () => {
    ran.length = 0;
    const jobs = Array.from({ length: 60 }, (_, n) => ({ data: "", id: `${n % 4}-${n}`, key: `key${n % 4}` }));
    assertEquals(
      (await queue.publishMany(jobs, { atomic: true }))?.map((receipt) => receipt?.duplicate),
      Array(60).fill(false),
    );
    await waitUntil(() => ran.length >= 60, WAIT.timeout);
    for (const key of "0123") {
      const order = ran.filter((id) => id[0] === key).map((id) => Number(id.slice(2)));
      assertEquals(order, order.toSorted((a, b) => a - b));
    }
  });

  await t.step("a pause holds everywhere, and a resume by another client takes effect within a second", async () => {
    ran.length = 0;
    await queue.pause();
    await queue.publish("", { id: "paused" });
    await waitUntil(async () => (await queue.counts())?.ready.normal === 1);
    assertEquals(ran, []);
    for (const consumer of ["high", "normal", "low"]) await foreign.request(`CONSUMER.PAUSE.WQ_checks.${consumer}`, {});
    await waitUntil(() => ran.includes("paused"), 20_000);
    await queue.resume();
  });

  await t.step("a limit of active jobs holds over all workers", async () => {
    let [now, most, done] = [0, 0, 0];
    const three = Promise.withResolvers<void>();
    const limited = async () => {
      most = Math.max(most, ++now);
      if (now === 3) three.resolve();
      await three.promise;
      await new Promise((resolve) => setTimeout(resolve, 10));
      now--;
      done++;
    };
    const slow = stores.jobQueue("slow", { replicas: 3 });
    await slow.limitActive({ normal: 3 });
    await using _one = worker.jobQueue("slow").consume(limited, { concurrency: 10 });
    await using _two = other.jobQueue("slow").consume(limited, { concurrency: 10 });
    await slow.publishMany(Array.from({ length: 40 }, (_, data) => ({ data })));
    await waitUntil(() => done === 40, WAIT.timeout);
    assertEquals(most, 3);
  });

  await t.step("batches", async () => {
    const batched = stores.jobQueue<number>("batched", { replicas: 3 });
    await batched.publishMany(Array.from({ length: 30 }, (_, data) => ({ data })), { atomic: true });
    const sizes: number[] = [];
    await using consumer = worker.jobQueue<number>("batched").consumeBatches((jobs) => {
      sizes.push(jobs.length);
      return jobs.map((job) => job.data === 7 && job.attempt === 1 ? new Error("once") : job.data);
    }, { size: 10, backoff: 10 });
    await waitUntil(() => consumer.status().ended.completed === 30, WAIT.timeout);
    assertEquals(Math.max(...sizes) <= 10, true);
    assertEquals(consumer.status().ended.retried, 1);
  });

  await t.step("a schedule and a waiter outlive the loss of a server", async () => {
    ran.length = 0;
    await queue.schedule("tick", { every: 1_000, data: "tick" });
    await queue.publish("later", { id: "later", delay: 2_500, keepResult: 60_000 });
    const wait = queue.waitFor("later", WAIT);
    await waitUntil(() => ran.includes("@tick"), WAIT.timeout);
    // The one that none of ours is connected to might be any; this one is the workers'.
    await cluster.servers[1].kill();
    const before = ran.length;
    assertEquals(await wait, "later done");
    await waitUntil(() => ran.slice(before).includes("@tick"), WAIT.timeout);
    assertEquals(await queue.unschedule("tick"), true);
    assertGreater(ran.length, before);
  });

  await Promise.all(consumers.map((consumer) => consumer.stop({ deadline: 1_000 })));
});
