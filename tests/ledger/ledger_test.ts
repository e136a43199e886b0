import { assert, assertEquals } from "@std/assert";
import { lacks } from "../_support/test_from.ts";
import { report } from "./report.ts";
import { type LedgerOptions, type LedgerResult, runLedger } from "./run_ledger.ts";

async function run(options: Omit<LedgerOptions, "seed">): Promise<LedgerResult> {
  const seed = Number(Deno.env.get("LEDGER_SEED") ?? crypto.getRandomValues(new Uint16Array(1))[0]);
  const lines: string[] = [];
  const begun = new Date();
  const result = await runLedger({ changes: !lacks("2.14"), ...options, seed, log: (line) => lines.push(line) });
  const story = `LEDGER_SEED=${seed}, begun at ${begun.toISOString()}\n${lines.join("\n")}\n${report(result)}`;
  assertEquals([...result.violations, ...result.left], [], story);
  assertEquals(result.counts["jobs confirmed"], options.jobs, story);
  return result;
}

Deno.test("JobQueue loses nothing and names what runs twice while workers and the server are killed", async () => {
  const { counts } = await run({ jobs: 3_000, duration: 9_000, interval: 800, lease: 4_000 });
  assert(counts["workers killed"] >= 3);
  assert(counts["servers killed"] + counts["servers restarted"] >= 2);
  assert(counts["runs that failed or moved"] > 300);
  assert(counts["jobs cancelled"] > 0);
  assert(counts["dead letters"] > 0);
});

Deno.test("JobQueue loses nothing, buries no healthy job and repeats no attempt with leafnodes, large jobs, and refusals", async () => {
  const { counts } = await run({
    jobs: 1_200,
    duration: 12_000,
    interval: 800,
    lease: 6_000,
    leafnodes: true,
    large: true,
    refusals: true,
  });
  assert(counts["workers killed"] >= 1);
  assert(counts["outages"] >= 2);
  assert(counts["dead letters"] > 0);
});

Deno.test("JobQueue with three replicas loses nothing and runs nothing twice when the leader is killed", async () => {
  const { counts, doubles } = await run({
    jobs: 1_500,
    duration: 4_000,
    interval: 2_500,
    replicas: 3,
    lease: 15_000,
    killWorkers: false,
  });
  assert(counts["servers killed"] + counts["servers restarted"] >= 1);
  assertEquals(doubles.filter(({ residual }) => residual !== 3), []);
});
