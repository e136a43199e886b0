import { assertEquals } from "@std/assert";
import { disorder, type KeyedRun, readRuns } from "../_keyed_runs.ts";

const run = (place: number, from: number, to: number, how: KeyedRun["how"] = "end"): KeyedRun => ({
  key: "k",
  place,
  from,
  to,
  how,
});

Deno.test("disorder finds nothing in runs that are in order, retries and repeats of cut-off ones included", () => {
  const runs = [run(0, 0, 1, "fail"), run(0, 2, 3, "killed"), run(0, 4, 5), run(0, 6, 7), run(1, 8, 9)];
  assertEquals(disorder(runs.toReversed()), []);
});

Deno.test("disorder finds jobs that overtake, come back, or run side by side", () => {
  assertEquals(disorder([run(0, 0, 1, "fail"), run(1, 2, 3)]).length, 1);
  assertEquals(disorder([run(0, 0, 1), run(1, 2, 3), run(0, 4, 5)]).length, 1);
  assertEquals(disorder([run(0, 0, 3), run(1, 2, 4)]).length, 1);
  assertEquals(disorder([run(1, 0, 1)]).length, 1);
});

Deno.test("readRuns ends a run that was cut off with its process", () => {
  assertEquals(readRuns("1 start k-0\n2 end k-0\n3 start k-1\n", 9), [run(0, 1, 2), run(1, 3, 9, "killed")]);
});
