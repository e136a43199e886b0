// Runs the suites against pinned servers, which are built where they are missing: `deno task test:servers [--versions 2.12.15,2.15.2] [path ...]`.
import { parseArgs } from "node:util";
import { installVersion } from "./_install_version.ts";
import { readResults, type SuiteResults } from "./_read_results.ts";

/** The newest of each line that is supported. */
const VERSIONS = ["2.12.15", "2.14.10", "2.15.2"];

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
  const { passed, failed, skipped } = await runSuites(await installVersion(version));
  for (const name of failed) console.log(`  failed: ${name}`);
  failures += failed.length + (passed === 0 ? 1 : 0);
  rows.push(`| ${version} | ${passed} | ${failed.length} | ${skipped} |`);
}
console.log(["", "| server | passed | failed | skipped |", "| --- | --- | --- | --- |", ...rows].join("\n"));
if (failures > 0) Deno.exit(1);
