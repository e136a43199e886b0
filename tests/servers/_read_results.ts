/** What a run of the suites came to. */
export interface SuiteResults {
  passed: number;
  /** Skipped since they need a newer server: "2.14" → how many. */
  needNewer: Record<string, number>;
  /** Skipped for any other reason. */
  skipped: number;
  /** Names of the tests that failed. */
  failed: string[];
}

/** Reads the results from a report in JUnit's format, as `deno test --junit-path` writes it. */
export function readResults(report: string): SuiteResults {
  const results: SuiteResults = { passed: 0, needNewer: {}, skipped: 0, failed: [] };
  for (const [, attributes, content = ""] of report.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const needed = / \(needs nats-server (\d+\.\d+)\)/.exec(attributes)?.[1];
    if (needed && content.includes("<skipped")) results.needNewer[needed] = (results.needNewer[needed] ?? 0) + 1;
    else if (content.includes("<skipped")) results.skipped++;
    else if (/<failure|<error/.test(content)) results.failed.push(nameIn(attributes));
    else results.passed++;
  }
  return results;
}

function nameIn(attributes: string): string {
  const name = / ?name="([^"]*)"/.exec(attributes)?.[1] ?? "";
  const file = /classname="([^"]*)"/.exec(attributes)?.[1] ?? "";
  return `${file.replace(/^.*\/tests\//, "tests/")}: ${name}`
    .replaceAll("&quot;", '"').replaceAll("&apos;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll(
      "&amp;",
      "&",
    );
}
