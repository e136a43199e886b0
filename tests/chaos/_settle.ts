import type { JobQueue } from "../../mod.ts";
import type { Member, Role } from "./_members.ts";

/** Milliseconds for a process to end once it is told to. */
const END_TIMEOUT = 120_000;

/**
 * Waits until all jobs have ended.
 *
 * @param patience Milliseconds for a next job to end, however many are left: a busy machine needs long for all.
 * @returns What went wrong.
 */
export async function settleJobs(members: Member[], queue: JobQueue, patience: number, log: (line: string) => void) {
  const violations = await endOf(having(members, "producer"), (producer) => producer.child.ended(), patience);
  log("all is published");
  if (await isDrained(queue, patience)) log("all jobs have ended");
  else violations.push(`jobs are left, and none has ended for ${patience} ms after the last fault`);
  return violations;
}

/**
 * Lets all processes end.
 *
 * @returns What went wrong.
 */
export async function settleProcesses(members: Member[], log: (line: string) => void): Promise<string[]> {
  const violations: string[] = [];
  // The clients end first, since workers do what they publish in the end.
  for (const role of ["client", "worker"] as const) {
    violations.push(...await endOf(having(members, role), (member) => member.child.finish(), END_TIMEOUT));
  }
  log("all processes have ended");
  return violations;
}

function having(members: Member[], role: Role): Member[] {
  return members.filter((member) => member.role === role);
}

/** Whether no job is left in the end. */
async function isDrained(queue: JobQueue, patience: number): Promise<boolean> {
  let fewest = Infinity;
  for (let since = performance.now(); performance.now() - since < patience;) {
    const left = await jobsLeft(queue) ?? Infinity;
    // A job that moves from one place to another may be counted in neither.
    if (left === 0 && await jobsLeft(queue) === 0) return true;
    if (left < fewest) [fewest, since] = [left, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

/** How many jobs are left. What belongs to no consumer counts as delayed, so that workers are given time to look after it. */
async function jobsLeft(queue: JobQueue): Promise<number | null> {
  const counts = await queue.counts();
  return counts && counts.active + counts.delayed + Object.values(counts.ready).reduce((a, b) => a + b);
}

/** Waits for the end of processes, which have nothing left that keeps them alive. */
async function endOf(members: Member[], end: (member: Member) => Promise<boolean>, timeout: number): Promise<string[]> {
  const violations = members.map(async (member) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tooLate = new Promise<null>((resolve) => timer = setTimeout(resolve, timeout, null));
    const succeeded = await Promise.race([end(member), tooLate]);
    clearTimeout(timer);
    if (succeeded === null) return [`${member.name} has not ended within ${timeout} ms`];
    return succeeded ? [] : [`${member.name} failed`];
  });
  return (await Promise.all(violations)).flat();
}
