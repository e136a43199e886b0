import { assert, assertEquals } from "@std/assert";
import { LimitedLog } from "../../src/connection/limited_log.ts";
import { CollectedLog } from "../_support/collected_log.ts";

Deno.test("LimitedLog.warnSome writes the first line of each kind, and counts the others", () => {
  const logger = new CollectedLog();
  const log = new LimitedLog(logger);
  for (let n = 0; n < 3; n++) {
    log.warnSome("a", `a${n}`);
    log.warnSome("b", `b${n}`);
  }
  assertEquals(logger.lines, ["warn: a0", "warn: b0"]);
  log.stop();
  const more = "(2 more of this kind within a minute)";
  assertEquals(logger.lines.slice(2), [`warn: a2 ${more}`, `warn: b2 ${more}`]);
  log.stop();
  assert(logger.lines.length === 4);
  // A timer of it would be a leak of this test.
  log.warnSome("a", "late");
  assertEquals(logger.lines.slice(4), ["warn: late"]);
});

Deno.test("LimitedLog.warnNew writes a line when the reason of its kind is another, or was forgotten", () => {
  const logger = new CollectedLog();
  const log = new LimitedLog(logger);
  assert(!log.hasReason);
  for (const reason of ["a", "a", "b", "a"]) log.warnNew(reason, `first ${reason}`);
  assertEquals(logger.lines, ["warn: first a", "warn: first b", "warn: first a"]);
  assert(log.hasReason);

  // Two kinds that take turns are each written once.
  for (let n = 0; n < 3; n++) for (const kind of ["x", "y"]) log.warnNew("c", `${kind} ${n}`, kind);
  assertEquals(logger.lines.slice(3), ["warn: x 0", "warn: y 0"]);

  log.forget();
  assert(!log.hasReason);
  log.warnNew("c", "x again", "x");
  assertEquals(logger.lines.slice(5), ["warn: x again"]);
});
