import { assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

const ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER";

for (
  const subject of [
    "wqevt.checks.known",
    "wqevt.checks.completed.a",
    `${ADVISORY}.MSG_TERMINATED.WQ_checks.normal`,
  ]
) {
  Deno.test(`a message on ${subject} that cannot be read costs neither the connection nor what is worked on`, async () => {
    await using server = await startNatsServer();
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({
      connectTimeout: TIMEOUT_MS,
      servers: server.url,
      logger,
      env: () => undefined,
    });
    const queue = stores.jobQueue<number>("checks");
    const ran: number[] = [];
    await using consumer = queue.consume((job) => void ran.push(job.data));
    await waitUntil(() => consumer.status().state === "serving");
    const events = queue.events()[Symbol.asyncIterator]();
    const first = events.next();
    // Answered behind the subscription.
    await queue.counts();
    const foreign = await connect({ servers: server.url });
    try {
      for (const body of ["s3cr3t{", "null", "{}"]) foreign.publish(subject, body, { reply: "nobody" });
      await foreign.flush();
      await waitUntil(() => logger.lines.some((line) => line.includes("malformed")));
      await queue.publish(1);
      await waitUntil(() => ran.length === 1);
      await first;
      assertEquals(stores.connectionCounters().disconnects, 0);
      const told = logger.lines.filter((line) => !line.includes("Connected"));
      assertEquals(told, [`warn: Dropped a malformed message on ${subject}, as will be further ones`]);
    } finally {
      await foreign.close();
      await events.return?.();
    }
  });
}
