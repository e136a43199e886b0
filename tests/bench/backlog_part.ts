import { jetstreamManager } from "@nats-io/jetstream";
import { startNatsServer } from "../../src/testing/mod.ts";
import type { Comparison, Row } from "./_comparison.ts";
import type { BacklogReport, BacklogRole } from "./_backlog_process.ts";
import { connectNatsIo } from "./nats_io_peer.ts";
import { runProgram } from "./_private_program.ts";

const PART = "backlog";

/** A million small jobs are published by one process, and then run by another: how fast, and what memory they take meanwhile. */
export async function backlogPart(comparison: Comparison): Promise<void> {
  const jobs = comparison.options.quick ? 20_000 : 1_000_000;
  await using server = await startNatsServer();
  const publisher = await run("publish", server.url, jobs);
  const worker = await run("drain", server.url, jobs);
  const left = await messagesLeft(server.url);
  if (left !== 0) throw new Error(`${left} jobs are left after ${jobs} ran`);
  const title = (what: string) => `${jobs.toLocaleString("en-US")} small jobs: ${what}`;
  comparison.add({
    part: PART,
    title: title("speed"),
    unit: "jobs/s",
    rows: [row("publishJobs, batches of 500", publisher.rate), row("consumeJobs, 100 at the same time", worker.rate)],
  });
  for (const [process, { heap, rss }] of [["publisher", publisher], ["worker", worker]] as const) {
    comparison.add({
      part: PART,
      title: title(`memory of the ${process}`),
      unit: "MiB",
      rows: [
        ...heap.map(({ share, bytes }) => row(`heap in use after ${share * 100} %`, bytes / 2 ** 20)),
        row("highest resident size", rss / 2 ** 20),
      ],
    });
  }
}

async function run(role: BacklogRole, url: string, jobs: number): Promise<BacklogReport> {
  const program = new URL("./_backlog_process.ts", import.meta.url).pathname;
  return JSON.parse(await runProgram(Deno.execPath(), ["run", "-A", program, role, url, String(jobs)]));
}

async function messagesLeft(url: string): Promise<number> {
  const nc = await connectNatsIo(url);
  const { state } = await (await jetstreamManager(nc)).streams.info("WQ_backlog");
  await nc.close();
  return state.messages;
}

function row(peer: string, value: number): Row {
  return { peer, median: value, lowest: value, highest: value };
}
