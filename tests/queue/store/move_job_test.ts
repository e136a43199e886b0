import { assertEquals } from "@std/assert";
import { Unavailable } from "../../../src/connection/unavailable.ts";
import { parseJobHeaders } from "../../../src/queue/format/job_headers.ts";
import { QueueNames, tokenOf } from "../../../src/queue/format/queue_names.ts";
import { type MovedJob, moveJob } from "../../../src/queue/store/move_job.ts";
import { startNatsCluster } from "../../../src/testing/mod.ts";
import { callWithin } from "../../../src/wire/call.ts";
import { leaderGet } from "../../../src/wire/leader_get.ts";
import type { Session } from "../../../src/wire/session.ts";
import { openSession } from "../../_support/open_session.ts";
import { openStores } from "../../_support/open_stores.ts";
import { testFrom } from "../../_support/test_from.ts";

const test = testFrom("2.12");

const NAMES = new QueueNames("checks");
const ROUNDS = 40;
const TOGETHER = 8;

/** Moves a job as often as that is unconfirmed, as workers do. */
async function moved(session: Session, job: MovedJob): Promise<boolean | null> {
  for (;;) {
    try {
      return await moveJob(callWithin(session, 20_000), NAMES, job, {});
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
    }
  }
}

test("moveJob takes another publish of its id that is in flight for no refusal", async () => {
  await using cluster = await startNatsCluster();
  await using stores = openStores(cluster.urls[0], { timeout: 40_000 });
  await using one = await openSession({ servers: cluster.urls[1] });
  await using other = await openSession({ servers: cluster.urls[2] });
  const queue = stores.jobQueue<number>("checks", { replicas: 3 });
  await queue.open();
  for (let round = 0; round < ROUNDS; round++) {
    const { sequence } = (await queue.publish(round, { id: `job-${round}` }))!;
    const message = (await leaderGet(callWithin(one.session, 20_000), NAMES.stream, { seq: sequence }))!;
    const { subject, time, data } = message;
    const allHeaders = parseJobHeaders(message.headers());
    const job = { subject, token: tokenOf(subject), priority: "normal", sequence, allHeaders, enqueuedAt: time, data };
    const results = await Promise.all(
      Array.from({ length: TOGETHER }, (_, i) => moved((i % 2 === 0 ? one : other).session, job as MovedJob)),
    );
    assertEquals(results, results.map(() => true));
    assertEquals((await queue.get(`job-${round}`))?.data, round);
  }
});
