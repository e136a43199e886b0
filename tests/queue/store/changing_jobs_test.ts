import { assertEquals } from "@std/assert";
import { ChangingJobs } from "../../../src/queue/store/changing_jobs.ts";

Deno.test("ChangingJobs counts every job as changing until each listener has listed the changes that were under way", () => {
  const changing = new ChangingJobs();
  assertEquals(changing.has("a"), false);
  const [first, second] = [changing.doubt(), changing.doubt()];
  first(true);
  assertEquals(changing.has("a"), true);
  second(true);
  assertEquals(changing.has("a"), false);
});

Deno.test("ChangingJobs counts every job as changing for a while if a listener has ended before it had listed them", () => {
  const changing = new ChangingJobs();
  changing.doubt()(false);
  assertEquals(changing.has("a"), true);
  changing.doubt()(true);
  assertEquals(changing.has("a"), true);
});
