import type { Command } from "commander";
import type { JobCounts } from "../../mod.ts";
import type { CommandLine } from "./command_line.ts";

/** A metric, as Prometheus has it. */
interface Metric {
  name: string;
  help: string;
  type: "gauge" | "counter";
  /** Its values of one queue, by further labels. */
  of(counts: JobCounts): Iterable<[labels: Record<string, string>, value: number]>;
}

const METRICS: Metric[] = [
  {
    name: "supercheck_queue_waiting_jobs",
    help: "Jobs that wait for a worker.",
    type: "gauge",
    of: ({ ready }) => Object.entries(ready).map(([priority, value]) => [{ priority }, value]),
  },
  {
    name: "supercheck_queue_active_jobs",
    help: "Jobs that workers have.",
    type: "gauge",
    of: ({ active }) => [[{}, active]],
  },
  {
    name: "supercheck_queue_delayed_jobs",
    help: "Jobs that are not due yet.",
    type: "gauge",
    of: ({ delayed }) => [[{}, delayed]],
  },
  { name: "supercheck_queue_dead_letters", help: "Dead letters.", type: "gauge", of: ({ dead }) => [[{}, dead]] },
  {
    name: "supercheck_queue_oldest_seconds",
    help: "Seconds that the oldest waiting job has waited; 0 if none waits.",
    type: "gauge",
    of: ({ oldest }) => [[{}, (oldest ?? 0) / 1000]],
  },
  {
    name: "supercheck_queue_paused",
    help: "Whether a priority is paused.",
    type: "gauge",
    of: ({ paused }) =>
      ["high", "normal", "low"].map((
        priority,
      ) => [{ priority }, Number(paused?.priorities.some((each) => each === priority) ?? false)]),
  },
  {
    name: "supercheck_queue_ended_total",
    help: "Messages that have left the queue: by a completion, a retry, a cancel or a death.",
    type: "counter",
    of: ({ ended }) => [[{}, ended]],
  },
];

/** `metrics`: prints what no process of its own exports, for Prometheus. */
export function metricsCommand(program: Command, line: CommandLine): void {
  program.command("metrics")
    .description("print depth, oldest job, dead letters and pauses of all queues, as Prometheus reads them")
    .addHelpText(
      "after",
      `
Example, for the node exporter's textfile collector:
  cli metrics > /var/lib/node_exporter/jetstream.prom`,
    )
    .action(async () =>
      await line.withNats(async (nats) => {
        const queues: { queue: string; counts: JobCounts }[] = [];
        for await (const queue of nats.stores.jobQueues()) {
          const counts = await nats.ask(nats.stores.jobQueue(queue).counts());
          // It may have been removed since it was listed.
          if (counts) queues.push({ queue, counts });
        }
        for (const metric of METRICS) line.screen.print(...linesOf(metric, queues));
      })
    );
}

function linesOf({ name, help, type, of }: Metric, queues: { queue: string; counts: JobCounts }[]): string[] {
  const values = queues.flatMap(({ queue, counts }) =>
    [...of(counts)].map(([labels, value]) => {
      const pairs = Object.entries({ queue, ...labels }).map(([label, text]) => `${label}="${text}"`);
      return `${name}{${pairs.join(",")}} ${value}`;
    })
  );
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...values];
}
