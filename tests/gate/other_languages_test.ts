import { assertEquals, assertMatch } from "@std/assert";
import { JetStreamStores, type Job } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { hasProgram } from "../_support/has_program.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { CollectedLog } from "../_support/collected_log.ts";

/** A producer that src/queue/README.md shows. */
interface Producer {
  client: string;
  /** The language of its block. */
  language: string;
  /** The command that runs it, once its block is stored under the name. */
  file: string;
  prepare?: string[][];
  command: string[];
  /** Whether it sends the guard of unique ids. */
  guarded: boolean;
  /** What is needed to run it. */
  needs: string;
  runs: boolean;
  data: unknown;
}

const PRODUCERS: Producer[] = [
  {
    client: "the nats command",
    language: "sh",
    file: "producer.sh",
    command: ["sh", "producer.sh"],
    guarded: false,
    needs: "no nats command on the PATH",
    runs: await hasProgram("nats", "--version"),
    data: { to: "ann@example.com" },
  },
  {
    client: "nats-py",
    language: "python",
    file: "producer.py",
    command: ["python3", "producer.py"],
    guarded: true,
    needs: "no python3 with nats-py on the PATH",
    runs: await hasProgram("python3", "-cimport nats.js"),
    data: { to: "ann@example.com" },
  },
  {
    client: "nats.go",
    language: "go",
    file: "main.go",
    prepare: [
      ["go", "mod", "init", "producer"],
      ["go", "get", "github.com/nats-io/nats.go@v1.53.1"],
      ["go", "build", "-o", "producer", "."],
    ],
    command: ["./producer"],
    guarded: true,
    needs: "with INTEROP_GO=1 only: it builds a Go program",
    runs: Deno.env.get("INTEROP_GO") === "1",
    data: { to: "bob@example.com" },
  },
];

/** The block of src/queue/README.md that publishes in a language. */
async function blockOf(language: string): Promise<string> {
  const readme = await Deno.readTextFile(new URL("../../src/queue/README.md", import.meta.url));
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, of]) => of === language);
  const [block] = blocks.map(([, , text]) => text).filter((text) => text.includes("wq.mails."));
  if (block === undefined) throw new Error(`src/queue/README.md has no producer in ${language}`);
  return block;
}

async function run(cwd: string, [program, ...args]: string[], url = ""): Promise<string> {
  const env = { SUPERCHECK_NATS_URL: url, NATS_URL: url, GOFLAGS: "-mod=mod" };
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd, env }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

for (const { client, language, file, prepare = [], command, guarded, needs, runs, data } of PRODUCERS) {
  Deno.test({
    name: `consumeJobs runs the job that src/queue/README.md publishes by ${client}${
      runs ? "" : ` (not tested here: ${needs})`
    }`,
    ignore: !runs,
    fn: async () => {
      await using server = await startNatsServer();
      await using stores = new JetStreamStores({
        servers: server.url,
        env: () => undefined,
        logger: new CollectedLog(),
      });
      await stores.jobQueue("mails").open();
      const directory = await Deno.makeTempDir();
      try {
        await Deno.writeTextFile(`${directory}/${file}`, await blockOf(language));
        for (const step of prepare) await run(directory, step);
        const said = await run(directory, command, server.url);
        if (guarded) {
          assertMatch(said, /^stored: 1$/);
          assertEquals(await run(directory, command, server.url), "there already");
        }
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
      const jobs: Job[] = [];
      await using consumer = await stores.consumeJobs("mails", (job) => void jobs.push(job));
      await waitUntil(() => consumer?.status().ended.completed === 1);
      assertEquals(jobs.map((job) => job.data), [data]);
      assertEquals((await stores.jobQueue("mails").counts())?.ready.normal, 0);
    },
  });
}
