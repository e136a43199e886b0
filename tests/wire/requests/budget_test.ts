import { assertEquals, assertRejects } from "@std/assert";
import { Unavailable } from "../../../src/connection/unavailable.ts";
import { Budget } from "../../../src/wire/requests/budget.ts";
import { within } from "../../_support/wait_until.ts";

const never = () => Infinity;
const soon = () => {
  const deadline = performance.now() + 20;
  return () => deadline;
};

Deno.test("Budget.take ends by its deadline also while others keep what there is, and lets those behind it go on", async () => {
  const budget = new Budget(10);
  await budget.take(6, never);
  const large = budget.take(8, soon());
  const small = budget.take(4, never);
  await assertRejects(() => within(large), Unavailable);
  await within(small);
  let begun = false;
  const next = budget.take(1, never).then(() => begun = true);
  budget.give(0);
  await Promise.resolve();
  assertEquals(begun, false);
  budget.give(6);
  await within(next);
});

Deno.test("Budget.take keeps waiting while its deadline moves", async () => {
  const budget = new Budget(10);
  await budget.take(10, never);
  let asked = 0;
  const moving = () => {
    if (++asked === 20) budget.give(10);
    return performance.now() + 5;
  };
  await within(budget.take(1, moving));
});

Deno.test("Budget serves first come first served, so that a large amount has its turn", async () => {
  const budget = new Budget(10);
  await budget.take(6, never);
  const order: string[] = [];
  const large = budget.take(8, never).then(() => order.push("large"));
  assertEquals(budget.tryTake(1), false);
  const small = budget.take(1, never).then(() => order.push("small"));
  budget.give(6);
  await within(Promise.all([large, small]));
  assertEquals(order, ["large", "small"]);
});
