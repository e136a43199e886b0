import { type Command, Option } from "commander";
import type { DeadLetterFilter, MatchCounts, MatchOptions } from "../../../mod.ts";
import { CommandFailure, EXIT } from "../command_failure.ts";
import type { CommandLine, Nats } from "../command_line.ts";
import { confirm, type ConfirmOptions, dryRunOption } from "../confirm.ts";
import { moment } from "../option_values.ts";
import { Progress } from "../terminal/progress.ts";
import { count } from "../terminal/text.ts";
import { existingQueue } from "./existing_queue.ts";

/** Adds the options by which a command chooses many. */
export function addMatchOptions(command: Command): Command {
  return command
    .addOption(dryRunOption())
    .option("--match-id <prefix>", "those whose id begins with this")
    .option("--match-before <moment>", "those first published before, e.g. 2030-01-31T18:00:00Z", moment)
    .addOption(
      new Option("--match-priority <priority>", "those of this priority").choices(["high", "normal", "low"]),
    );
}

/** Adds the argument and the options by which a command chooses dead letters: ids, all, or what matches. */
export function addDeadLetterChoice(command: Command): Command {
  return addMatchOptions(
    command
      .argument("<queue>")
      .argument("[id...]", "those of `queue dead`")
      .option("-a, --all", "all of them")
      .option("--match-reason <text>", "those whose reason contains this"),
  );
}

/** The options of a command that acts on ids, on all, or on what matches. */
export interface MatchCommandOptions extends ConfirmOptions {
  matchReason?: string;
  matchId?: string;
  matchBefore?: Date;
  matchPriority?: DeadLetterFilter["priority"];
  all?: boolean;
}

/** The filter that the options make, or `null`: none is given. */
export function filterOf(given: MatchCommandOptions): DeadLetterFilter | null {
  const { matchReason: reason, matchId: idPrefix, matchBefore: enqueuedBefore, matchPriority: priority } = given;
  const filter = { reason, idPrefix, enqueuedBefore, priority };
  return Object.values(filter).some((value) => value !== undefined) ? filter : null;
}

/**
 * Checks that exactly one choice is made.
 *
 * @throws {CommandFailure} If there is none, or more than one.
 */
export function checkChoice(ids: string[], given: MatchCommandOptions, choices: string): void {
  const made = [ids.length > 0, given.all === true, filterOf(given) !== null].filter((choice) => choice);
  if (made.length !== 1) throw new CommandFailure(`give ${choices}`, EXIT.usage);
}

/**
 * Checks that dead letters are chosen in exactly one way.
 *
 * @throws {CommandFailure} If there is none, or more than one.
 */
export function checkDeadLetterChoice(ids: string[], given: MatchCommandOptions): void {
  checkChoice(ids, given, "ids, --all, or which ones with --match-…");
}

/** How a command acts on all that match. */
export interface MatchAction {
  queue: string;
  /** The singular of what is acted on. */
  what: string;
  /** Asks before it acts, for instance "cancel 5 jobs of queue mails". */
  question(matched: string): string;
  /** Whether it only counts. */
  dryRun: boolean | undefined;
  /** What was done, for instance "cancelled". */
  done: string;
  act(options: MatchOptions): Promise<MatchCounts | null>;
}

/** Counts what matches, asks, and acts on it. */
export async function actOnMatches(line: CommandLine, nats: Nats, action: MatchAction): Promise<void> {
  const { queue, what, question, dryRun, done, act } = action;
  await existingQueue(nats, queue);
  const { matched } = await nats.confirmed(act({ dryRun: true, signal: line.signal }));
  if (matched === 0) return line.print({ matched, [done]: 0 }, () => [`no ${what} matches`]);
  if (!await confirm(line, question(count(matched, what)), { dryRun })) return;
  let counts: MatchCounts = { matched: 0, done: 0 };
  {
    using _progress = new Progress(line.screen, () => `${counts.done} of ${matched} ${done} …`);
    const progress = (soFar: MatchCounts) => counts = soFar;
    const ended = await act({ progress, signal: line.signal });
    if (!ended) {
      throw new CommandFailure(
        `broke off: ${count(counts.done, what)} ${done} so far; run the command again for the rest`,
      );
    }
    counts = ended;
  }
  line.print({ matched: counts.matched, [done]: counts.done }, () => [`${count(counts.done, what)} ${done}`]);
  const left = counts.matched - counts.done;
  if (left > 0) line.hint(`${count(left, what)} that matched had changed, or could not be ${done}.`);
}
