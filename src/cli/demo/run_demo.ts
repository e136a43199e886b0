import { variable } from "../environment.ts";
import { sleep } from "../sleep.ts";
import type { Screen } from "../terminal/screen.ts";
import { columns } from "../terminal/columns.ts";
import { count } from "../terminal/text.ts";
import { checkTable } from "./check_table.ts";
import type { DemoArguments } from "./demo_arguments.ts";
import { DemoDashboard } from "./demo_dashboard.ts";
import { DemoDisplay } from "./demo_display.ts";
import { DemoNats } from "./demo_nats.ts";
import { jsonReport, nextSteps, type Shown, sources } from "./demo_report.ts";
import { HealthChecks } from "./health_checks.ts";
import { LocalServices } from "./local_services.ts";

/**
 * Runs the demo to its end.
 *
 * @returns Whether all that was found was stored and loaded back, in the last round.
 */
export async function runDemo(options: DemoArguments, screen: Screen, signal: AbortSignal): Promise<boolean> {
  const { json, watch, concurrency } = options;
  using display = new DemoDisplay(screen, { chatty: !json });
  if (!json) screen.note(screen.noteColours.bold("Health checks through NATS JetStream"), "");
  const isPrivate = variable("SUPERCHECK_NATS_URL") === undefined;
  display.status(
    isPrivate ? "Starting a nats-server; where there is none, it is installed once" : "Connecting to NATS",
  );
  await using nats = await DemoNats.open(isPrivate, watch, display.logger, signal);
  await using services = options.urls.length > 0 ? null : new LocalServices();
  await using pages = watch ? new DemoDashboard(nats.stores) : null;
  if (!json) introduce(nats, { services: services?.habits, dashboard: pages?.url }, screen);
  display.note("everything");
  const urls = services?.urls ?? options.urls;
  const queue = `demo_${crypto.randomUUID().slice(0, 4)}`;
  await using checks = new HealthChecks(nats.stores, queue, {
    urls,
    timeout: options.timeout ?? (services ? 1_000 : 5_000),
    concurrency,
    signal,
    // Other services may get their ports.
    forgets: services !== null,
    onStep: (step) => display.step(step),
  });
  // What happens to the connection at the end is our own doing.
  const silence = () => display.note("nothing");
  signal.addEventListener("abort", silence, { once: true });
  using _silence = { [Symbol.dispose]: silence };
  if (watch) nats.keepAlive();

  let shown: Shown | null = null;
  for (let round = 1; !signal.aborted; round++) {
    const way = nats.stores.connectionStatus() === "connected" ? `through queue ${queue}` : "without NATS";
    display.status(`Round ${round}: ${count(urls.length, "check")} ${way}`);
    const checked = await checks.round();
    // An interrupted round counts for nothing.
    if (checked === null) break;
    shown = {
      round,
      checked,
      totals: checks.totals,
      queue,
      nats: nats.stores.connectionInfo(),
      isPrivate,
      isLocal: services !== null,
    };
    display.show(checked);
    if (json) screen.print(jsonReport(shown));
    else if (watch && !screen.isTerminal) screen.print(`Round ${round}`, ...tableOf(shown, screen), "");
    if (!watch) break;
    display.status(pause(shown, nats, options), { spinning: false });
    await sleep(options.interval, signal);
  }
  display.clear();
  if (shown && !json) conclude(shown, options, screen);
  return shown !== null && shown.checked.every(({ stored }) => stored);
}

/** What there is to see beside the table. */
interface Surroundings {
  /** What the demo's own services do. */
  services: string | undefined;
  /** Where the dashboard is. */
  dashboard: string | undefined;
}

function introduce({ stores, server }: DemoNats, { services, dashboard }: Surroundings, screen: Screen): void {
  const nats = stores.connectionInfo();
  screen.note(
    ...columns(
      [
        [
          "NATS",
          nats
            ? `${nats.version} at ${nats.server}${server ? ` (private, process ${server.pid})` : ""}`
            : "no connection",
        ],
        ...services ? [["Services", services]] : [],
        ...dashboard ? [["Dashboard", dashboard]] : [],
      ],
      [screen.noteColours.dim],
      screen.noteWidth,
    ),
    "",
  );
}

/** The status line between two rounds. */
function pause({ round, nats, checked }: Shown, { server }: DemoNats, { interval }: DemoArguments): string {
  const lost = checked.filter(({ stored }) => !stored).length;
  const state = lost > 0
    ? `${nats ? "NATS does not answer" : "No connection to NATS"}: ${count(lost, "result")} not stored.`
    : server
    ? `Try: kill ${server.pid} (NATS)`
    : `NATS ${nats?.version} at ${nats?.server}.`;
  return `Round ${round}, the next in ${interval / 1_000} s. Ctrl-C ends. ${state}`;
}

function conclude(shown: Shown, { watch }: DemoArguments, screen: Screen): void {
  const { colours, noteColours } = screen;
  const stored = shown.checked.filter(({ stored }) => stored).length;
  if (!watch || screen.isTerminal) screen.print(...tableOf(shown, screen), "");
  if (stored > 0 || watch) {
    const { width } = screen;
    return screen.print(...sources(shown, colours, width), "", ...nextSteps(shown, watch, colours, width));
  }
  screen.note(
    noteColours.red("No connection to NATS: everything was checked, but nothing could be stored."),
    "Start the server that SUPERCHECK_NATS_URL names; or unset it, and the demo starts a private one.",
  );
}

function tableOf({ checked }: Shown, { colours, width }: Screen): string[] {
  return checkTable(checked.map((row) => ({ ...row, phase: "done" })), colours, width);
}
