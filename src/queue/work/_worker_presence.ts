import process from "node:process";
import type { Session } from "../../wire/session.ts";
import { readAsk, workerText } from "../format/worker_info.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { JobConsumerStatus } from "./job_consumer_status.ts";

/** Answers within a second: a flood of questions must not cost a worker more. */
const MAX_ANSWERS = 100;

/** Lets a worker answer requests for the workers of its queue, until `over` aborts. Between questions it costs nothing. */
export function answerForWorker(
  { context, names }: QueueContext<unknown>,
  { concurrency, priorities, keyed }: ConsumeSettings,
  status: () => JobConsumerStatus,
  over: AbortSignal,
): void {
  const id = crypto.randomUUID().slice(0, 8);
  const since = new Date();
  let [second, answers] = [0, 0];
  const answer = (session: Session, ask: string) => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) [second, answers] = [now, 0];
    if (++answers > MAX_ANSWERS) return;
    const { state, reason, active, prefetched, ended } = status();
    const { name, address } = session.client;
    const text = workerText({
      ...{ id, name, address, pid: process.pid, since, state, reason, concurrency, active, prefetched },
      ...{ priorities: [...priorities], keyed, completed: ended.completed, failed: ended.retried + ended.dead },
    });
    session.send(names.workerAnswers(ask, id), text);
  };
  const unfollow = context.connection.follow((session) => {
    const listening = session.subscribe(
      names.workers,
      ({ data }) => answer(session, readAsk(data)),
      ({ message }) => session.warnOnce(`Workers of queue ${names.queue} are not listed by workers(): ${message}`),
    );
    over.addEventListener("abort", () => listening.stop(), { once: true, signal: session.signal });
  });
  over.addEventListener("abort", unfollow, { once: true });
}
