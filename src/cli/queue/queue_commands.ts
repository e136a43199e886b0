import type { Command } from "commander";
import type { CommandLine } from "../command_line.ts";
import { queueCancel } from "./queue_cancel.ts";
import { queueCounts } from "./queue_counts.ts";
import { queueDead } from "./queue_dead.ts";
import { queueDiscard } from "./queue_discard.ts";
import { queueEvents } from "./queue_events.ts";
import { queueGet } from "./queue_get.ts";
import { queueLimit } from "./queue_limit.ts";
import { queueList } from "./queue_list.ts";
import { queuePause } from "./queue_pause.ts";
import { queuePeek } from "./queue_peek.ts";
import { queuePromote } from "./queue_promote.ts";
import { queuePublish } from "./queue_publish.ts";
import { queuePurge } from "./queue_purge.ts";
import { queueRedrive } from "./queue_redrive.ts";
import { queueReschedule } from "./queue_reschedule.ts";
import { queueResult } from "./queue_result.ts";
import { queueResume } from "./queue_resume.ts";
import { queueRun } from "./queue_run.ts";
import { queueSchedule } from "./queue_schedule.ts";
import { queueSchedules } from "./queue_schedules.ts";
import { queueWorkers } from "./queue_workers.ts";
import { queueUnschedule } from "./queue_unschedule.ts";
import { queueUpdate } from "./queue_update.ts";

const EXAMPLES = `
Examples:
  cli queue ls
  cli queue publish checks '{"url":"https://example.com/"}'
  cli queue counts checks --watch
  cli queue dead checks
  cli queue redrive checks --all
\`cli queue help publish\` explains one of them.`;

/** Adds the commands of queues. */
export function queueCommands(program: Command, line: CommandLine): void {
  const queue = program.command("queue").description("list queues, publish jobs, and manage a queue").addHelpText(
    "after",
    EXAMPLES,
  );
  const commands = [
    queueList,
    queuePublish,
    queueCounts,
    queuePeek,
    queueGet,
    queueDead,
    queueRedrive,
    queueDiscard,
    queueCancel,
    queuePromote,
    queueReschedule,
    queueUpdate,
    queuePurge,
    queuePause,
    queueResume,
    queueSchedules,
    queueSchedule,
    queueUnschedule,
    queueRun,
    queueLimit,
    queueResult,
    queueWorkers,
    queueEvents,
  ];
  for (const add of commands) add(queue, line);
}
