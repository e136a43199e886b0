// Runs the suites against pinned servers, which are built where they are missing, and prints README's table of versions:
// `deno task test:servers [--versions 2.12.15,2.15.2] [path ...]`.
import { parseArgs } from "node:util";
import { installVersion } from "./_install_version.ts";
import { readResults, type SuiteResults } from "./_read_results.ts";

/** The newest of each line that is supported. */
const VERSIONS = ["2.12.15", "2.14.10", "2.15.2"];

/** What the first server of a line brings. */
const BRINGS: Record<string, string> = {
  "2.12": "the oldest that is supported: all that is not named below",
  "2.14": "schedules that repeat; changing jobs that wait",
  "2.15": "schedules that survive a restart on a busy machine",
};

const { values, positionals } = parseArgs({
  options: { versions: { type: "string", default: VERSIONS.join() } },
  allowPositionals: true,
});

async function runSuites(program: string): Promise<SuiteResults> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    await new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "-A",
        "--no-check",
        "--parallel",
        "--quiet",
        "--reporter=dot",
        `--junit-path=${report}`,
        ...positionals,
      ],
      env: { NATS_SERVER: program, SUPERCHECK_NATS_URL: "", DENO_JOBS: "4" },
      stdout: "inherit",
      stderr: "inherit",
    }).spawn().status;
    return readResults(await Deno.readTextFile(report));
  } finally {
    await Deno.remove(report);
  }
}

const rows: string[] = [];
let failures = 0;
for (const version of values.versions.split(",")) {
  console.log(`nats-server ${version}`);
  const { passed, failed, needNewer, skipped } = await runSuites(await installVersion(version));
  for (const name of failed) console.log(`  failed: ${name}`);
  failures += failed.length + (passed === 0 ? 1 : 0);
  const lacking = Object.entries(needNewer).map(([needed, count]) => `${count} need ${needed}`).join(", ");
  const brings = BRINGS[version.split(".", 2).join(".")] ?? "";
  rows.push(`| ${version} | ${passed} passed, ${failed.length} failed${lacking && `, ${lacking}`} | ${brings} |`);
  console.log(`  ${skipped} skipped for other reasons, such as a peer that is not installed`);
}
console.log(["", "| server | tests | what it brings |", "| --- | --- | --- |", ...rows].join("\n"));
if (failures > 0) Deno.exit(1);
