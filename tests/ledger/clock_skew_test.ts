import { assert, assertEquals } from "@std/assert";
import { waitUntil } from "../_support/wait_until.ts";
import { Saying } from "./saying.ts";

const HOUR = 3_600_000;
/** Milliseconds by which the server may be late with what is due. */
const LATE = 10_000;

for (const [clock, side] of [[HOUR, "ahead"], [-HOUR, "behind"]] as const) {
  Deno.test(`JobConsumer with a clock an hour ${side} keeps the times of retries, delays and expiries`, async () => {
    await using saying = await Saying.start(2_000);
    const { queue } = saying;
    const published = Date.now();
    await queue.publish({ say: ["fail", "end"] }, { id: "retried", backoff: 600 });
    await queue.publish({ say: ["end"] }, { id: "delayed", delay: 900 });
    await queue.publish({ say: ["end"] }, { id: "lives", ttl: 60_000 });
    await queue.publish({ say: ["end"] }, { id: "expires", ttl: 1 });
    saying.work({ clock, publishes: [["delayed by it", 700]] });
    const ran = (id: string) => saying.runs().filter((run) => run.id === id).map(({ at }) => at);
    await waitUntil(() =>
      ran("delayed by it").length === 1 && ran("retried").length === 2 && ran("delayed").length === 1
    );
    await saying.drained();

    const [first, second] = ran("retried");
    assert(second - first >= 590 && second - first < 600 + LATE, `retried after ${second - first} ms`);
    const [delayed] = ran("delayed");
    assert(
      delayed - published >= 890 && delayed - published < 900 + LATE + first - published,
      `${delayed - published}`,
    );
    assertEquals(ran("lives").length, 1);
    assertEquals(ran("expires"), []);
    assert(ran("delayed by it")[0] - published >= 690, "its own delay is none");
    assertEquals(saying.runs().length, 5);
  });
}
