import { assertEquals } from "@std/assert";
import { readResults } from "./_read_results.ts";

Deno.test("readResults counts what passed, was skipped or needs a newer server, and names what failed", () => {
  const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="3" failures="1" errors="0" time="1">
  <testsuite name="file:///a/tests/kv/x_test.ts" tests="3">
    <testcase name="KvBucket.put &quot;a&quot;" classname="file:///a/tests/kv/x_test.ts" time="0.1" line="1" col="1">
    </testcase>
    <testcase name="KvBucket.get" classname="file:///a/tests/kv/x_test.ts" time="0" line="2" col="1">
      <skipped/>
    </testcase>
    <testcase name="JobQueue.schedule runs (needs nats-server 2.14)" classname="file:///a/tests/kv/x_test.ts" time="0">
      <skipped/>
    </testcase>
    <testcase name="KvBucket.&lt;x&gt;" classname="file:///a/tests/kv/x_test.ts" time="0.2" line="3" col="1">
      <failure message="Uncaught Error">text</failure>
    </testcase>
    <testcase name="short" classname="file:///a/tests/kv/x_test.ts" time="0.2"/>
  </testsuite>
</testsuites>`;
  assertEquals(readResults(report), {
    passed: 2,
    needNewer: { "2.14": 1 },
    skipped: 1,
    failed: ["tests/kv/x_test.ts: KvBucket.<x>"],
  });
});
