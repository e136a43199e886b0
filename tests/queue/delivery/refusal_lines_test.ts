import { assertEquals } from "@std/assert";
import { JetStreamStoreError } from "../../../mod.ts";
import { RunRequirements } from "../../../src/queue/delivery/run_requirements.ts";
import { QueueNames } from "../../../src/queue/format/queue_names.ts";
import type { QueueContext } from "../../../src/queue/store/queue_context.ts";
import { CollectedLog } from "../../_support/collected_log.ts";

Deno.test("RunRequirements tells a refusal once, also while another one comes and goes", () => {
  const log = new CollectedLog();
  const queue = { names: new QueueNames("checks"), context: { logger: log } } as unknown as QueueContext;
  const over = new AbortController();
  const requirements = new RunRequirements(queue, over.signal, { refresh() {} });
  const refusal = new JetStreamStoreError("limits", "full");
  requirements.refused("dead letters", refusal);
  requirements.refused("moves", refusal);
  requirements.met("moves");
  requirements.refused("dead letters", refusal);
  // Before it would check again.
  over.abort();
  assertEquals(log.lines, ["warn: Queue checks starts no jobs (dead letters: full), retrying"]);
});
