import { assert, assertEquals, assertMatch } from "@std/assert";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { QueueStores } from "../_support/queue_stores.ts";

const ROOT = new URL("../../", import.meta.url);

/** An example as a file of its own. */
interface Example {
  queue: string;
  code: string;
  /** A job for its worker. */
  data: unknown;
}

/** The examples that have a worker: in README.md, and in the documentation of the functions. */
async function workerExamples(): Promise<Example[]> {
  const examples: Example[] = [];
  for (const [file, queue, data] of WORKERS) {
    const text = (await Deno.readTextFile(new URL(file, ROOT))).replaceAll(/^ \* ?/gm, "");
    const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
    const code = blocks.find((code) => code.includes(`"${queue}"`) && /\bconsume(Jobs)?\b/.test(code));
    assert(code, `${file} has no worker of queue ${queue}`);
    const mod = new URL("mod.ts", ROOT).href;
    examples.push({ queue, data, code: code.replaceAll(/"(jsr:)?@supercheck\/jetstream"/g, `"${mod}"`) });
  }
  return examples;
}

const WORKERS: [file: string, queue: string, data: unknown][] = [
  ["README.md", "mails", { to: "ann@example.com" }],
  ["src/job_functions.ts", "checks", { url: "data:text/plain,up" }],
  ["src/functions.ts", "greetings", "ann"],
];

async function runs({ queue, code, data }: Example, server: NatsServer): Promise<void> {
  const directory = await Deno.makeTempDir();
  const file = `${directory}/example.ts`;
  await Deno.writeTextFile(file, code);
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", "--config", new URL("deno.json", ROOT).pathname, file],
    env: { SUPERCHECK_NATS_URL: server.url, NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const printed = new Response(process.stderr).text();
  try {
    await using stores = new QueueStores(server.url);
    const jobs = stores.jobQueue(queue);
    const isDone = async () => {
      const counts = await jobs.counts();
      return counts !== null && counts.active === 0 && Object.values(counts.ready).every((ready) => ready === 0);
    };
    // Long after the module has ended its worker takes what is published.
    for (let n = 0; n < 3; n++) {
      const receipt = await jobs.publish(data, { keepResult: 60_000 });
      await jobs.waitFor(receipt!.id, { timeout: 60_000 });
    }
    await waitUntil(isDone);
    process.kill("SIGTERM");
    const { success, signal } = await within(process.status, 60_000);
    assertEquals([success, signal], [true, null], await printed);
    assertMatch(await printed, new RegExp(`Worker of queue ${queue} stopped \\(close\\(\\) was called\\)`));
  } finally {
    try {
      process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await printed;
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("each example with a worker stays alive as a file of its own, and ends on SIGTERM", async () => {
  for (const example of await workerExamples()) {
    await using server = await startNatsServer();
    await runs(example, server);
  }
});
