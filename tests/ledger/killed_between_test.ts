import { assertEquals } from "@std/assert";
import { Relay } from "../_support/relay.ts";
import { Saying } from "./saying.ts";
import type { Say } from "./_sayer.ts";

/** Milliseconds. */
const LEASE = 3_000;
const JOB = "job";

/** Whether a message does something: neither checks a permission nor extends a lease. */
function hasEffect(subject: string, body: string): boolean {
  return subject.startsWith("$JS.ACK.") ? body.startsWith("+ACK") : !subject.endsWith(".=");
}

/** Lets one worker run the job until it is about to send to a subject, and kills it there. */
async function killBefore(saying: Saying, subject: string, job: { say: Say; backoff?: number }): Promise<void> {
  const { say, backoff = 0 } = job;
  await using relay = new Relay(saying.server.url, {
    stopAt: (sent, body) => sent.startsWith(subject) && hasEffect(sent, body),
  });
  const worker = saying.work({ url: relay.url });
  await saying.queue.publish({ say }, { id: JOB, backoff });
  await relay.stopped;
  await worker.kill();
}

function attempts(saying: Saying): number[] {
  return saying.runs().map(({ attempt }) => attempt);
}

Deno.test("JobConsumer stores a dead letter before the job is gone: killed in between, both are there, and one remains", async () => {
  await using saying = await Saying.start(LEASE);
  await killBefore(saying, "$JS.ACK.", { say: ["refuse"] });
  assertEquals(await saying.subjects(), ["wq.saying.ready.normal.job"]);
  assertEquals(await saying.deadLetters(), [[JOB, "No attempt helps"]]);
  saying.work();
  await saying.drained();
  assertEquals(await saying.deadLetters(), [[JOB, "No attempt helps"]]);
  assertEquals(attempts(saying), [1, 1]);
});

Deno.test("JobConsumer killed before it stores a dead letter leaves the job", async () => {
  await using saying = await Saying.start(LEASE);
  await killBefore(saying, "wqdead.", { say: ["refuse"] });
  assertEquals(await saying.subjects(), ["wq.saying.ready.normal.job"]);
  assertEquals(await saying.deadLetters(), []);
  saying.work();
  await saying.drained();
  assertEquals(await saying.deadLetters(), [[JOB, "No attempt helps"]]);
});

Deno.test("JobConsumer stores a moved job before the original is gone: the copy that runs first removes the original", async () => {
  await using saying = await Saying.start(LEASE);
  await killBefore(saying, "$JS.ACK.", { say: ["fail", "end"] });
  assertEquals(await saying.subjects(), ["wq.saying.ready.normal.job"]);
  const counts = await saying.queue.counts();
  // The copy may have been handed to the killed worker, which had asked for more.
  assertEquals(counts && counts.ready.normal + counts.active, 2);
  saying.work();
  await saying.drained();
  assertEquals(attempts(saying), [1, 2]);
});

Deno.test("JobConsumer does not run an original that comes back while its moved copy waits", async () => {
  await using saying = await Saying.start(LEASE);
  await killBefore(saying, "$JS.ACK.", { say: ["fail", "end"], backoff: 2 * LEASE });
  assertEquals(await saying.subjects(), ["wq.saying.later.normal.job", "wq.saying.ready.normal.job"]);
  saying.work();
  await saying.drained();
  assertEquals(attempts(saying), [1, 2]);
});

Deno.test("JobConsumer killed before it moves a job leaves the job, whose attempt did not count", async () => {
  await using saying = await Saying.start(LEASE);
  await killBefore(saying, "wq.", { say: ["fail", "end"] });
  assertEquals(await saying.subjects(), ["wq.saying.ready.normal.job"]);
  saying.work();
  await saying.drained();
  assertEquals(attempts(saying), [1, 1, 2]);
});
