import { assertEquals } from "@std/assert";
import { consumeSettings } from "../../../src/queue/work/consume_options.ts";
import { Prefetch } from "../../../src/queue/source/capacity.ts";

/** A policy that has seen many runs of so many milliseconds. */
function experienced(options: { concurrency?: number; prefetch?: number }, handler: number, run = handler): Prefetch {
  const policy = new Prefetch(consumeSettings(() => {}, options), 100);
  for (let n = 0; n < 100; n++) {
    policy.handled(handler);
    policy.ended(run);
  }
  return policy;
}

Deno.test("Prefetch.jobs is none before a run has shown how long they take", () => {
  assertEquals(new Prefetch(consumeSettings(() => {}, {}), 100).jobs(undefined), 0);
});

Deno.test("Prefetch.jobs is what the next 20 ms need, and not without end", () => {
  assertEquals(experienced({}, 5).jobs(undefined), 4);
  assertEquals(experienced({ concurrency: 10 }, 5).jobs(undefined), 40);
  assertEquals(experienced({}, 50).jobs(undefined), 0);
  assertEquals(experienced({ concurrency: 100 }, 0.001).jobs(undefined), 512);
});

Deno.test("Prefetch.jobs goes by the confirmations where these are slower than the handlers", () => {
  // A hundred and one of them at a time.
  assertEquals(experienced({}, 0.001, 101).jobs(undefined), 20);
});

Deno.test("Prefetch.jobs is none while the oldest handler runs for longer than that", () => {
  const policy = experienced({}, 1);
  assertEquals(policy.jobs(performance.now() - 30), 0);
});

Deno.test("Prefetch.jobs is what the consumer's prefetch says, and none with a rateLimit", () => {
  assertEquals(experienced({ prefetch: 7 }, 50).jobs(performance.now() - 1_000), 7);
  const limited = new Prefetch(consumeSettings(() => {}, { rateLimit: { jobs: 5, interval: 100 } }), 100);
  limited.handled(0.001);
  limited.ended(0.001);
  assertEquals(limited.jobs(undefined), 0);
});
