import { assertEquals } from "@std/assert";
import { delay } from "../../../src/delay.ts";
import { HeldJobs } from "../../../src/queue/delivery/held_jobs.ts";
import { RunningTicks } from "../../../src/queue/delivery/running_ticks.ts";
import { QueueNames } from "../../../src/queue/format/queue_names.ts";
import { MessageSurvey } from "../../../src/queue/source/message_survey.ts";
import { EndedJobs } from "../../../src/queue/store/ended_jobs.ts";
import type { QueueContext } from "../../../src/queue/store/queue_context.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import type { Session } from "../../../src/wire/session.ts";
import { CollectedLog } from "../../_support/collected_log.ts";
import { type OpenSession, openSession } from "../../_support/open_session.ts";
import { waitUntil } from "../../_support/wait_until.ts";

const NAMES = new QueueNames("checks");

/** A worker as far as it asks and answers for messages: it has none. */
class AskedWorker implements AsyncDisposable {
  readonly #open: OpenSession;
  readonly #survey: MessageSurvey;
  readonly #ended = new EndedJobs();
  /** Sequences, and firings, that it was asked for. */
  readonly heard: (number | string)[][] = [];
  /** Milliseconds until it answers. */
  answersAfter = 0;
  /** Called right after it has answered. */
  answered: () => void = () => {};

  private constructor(open: OpenSession) {
    const context = { timeout: 10_000, logger: new CollectedLog() };
    const queue = { names: NAMES, context, ended: this.#ended } as unknown as QueueContext;
    this.#survey = new MessageSurvey(queue, new HeldJobs(new RunningTicks()));
    this.#open = open;
    open.session.subscribe(NAMES.known, async (message) => {
      if (this.answersAfter > 0) await delay(this.answersAfter);
      const asked = message.json<[number, number, string?][]>();
      this.heard.push(asked.map(([sequence, _, firing]) => firing ?? sequence));
      this.#survey.answer(open.session, message);
      this.answered();
    }, () => {});
  }

  static async open(url: string): Promise<AskedWorker> {
    const open = await openSession({ servers: url });
    const worker = new AskedWorker(open);
    // The server has the subscription once it answers what was sent behind it.
    await open.session.requests.request("$JS.API.INFO", "", performance.now() + 20_000);
    return worker;
  }

  /** It has ended the job of a firing. */
  end(firing: string): void {
    this.#ended.remember({ sequence: 1, storedAt: "1", firings: [firing] });
  }

  ask(...sequences: number[]): Promise<boolean[]> {
    return this.#survey.ask(this.#open.session, sequences.map((sequence) => [sequence, 0]));
  }

  askForFiring(firing: string, session: Session = this.#open.session): Promise<boolean> {
    return this.#survey.isFiringKnown(session, firing, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]();
  }
}

Deno.test("MessageSurvey leaves what another worker asks for at the moment to that one, and asks for the rest", async () => {
  await using server = await startNatsServer();
  await using first = await AskedWorker.open(server.url);
  await using second = await AskedWorker.open(server.url);
  const asks: Promise<boolean[]>[] = [];
  second.answered = () => {
    second.answered = () => {};
    asks.push(second.ask(2, 1), second.ask(2, 8));
  };
  await Promise.allSettled([first.ask(1, 2)]);
  await waitUntil(() => asks.length === 2);
  assertEquals(await asks[0], [true, true]);
  await Promise.allSettled(asks);
  assertEquals(first.heard, [[1, 2], [8]]);
});

Deno.test("MessageSurvey asks for what another worker asked for before, which may have been cut off with the answers", async () => {
  await using server = await startNatsServer();
  await using first = await AskedWorker.open(server.url);
  await using second = await AskedWorker.open(server.url);
  await Promise.allSettled([first.ask(1)]);
  await waitUntil(async () => {
    await Promise.allSettled([second.ask(1)]);
    return first.heard.length === 2;
  });
  assertEquals(first.heard, [[1], [1]]);
});

Deno.test("MessageSurvey asks once where all workers of a fleet would ask for the same message", async () => {
  await using server = await startNatsServer();
  await using stack = new AsyncDisposableStack();
  const fleet: AskedWorker[] = [];
  for (let n = 0; n < 20; n++) fleet.push(stack.use(await AskedWorker.open(server.url)));
  const asks: Promise<boolean[]>[] = [];
  for (const worker of fleet.slice(1)) worker.answered = () => asks.push(worker.ask(1));
  await Promise.allSettled([fleet[0].ask(1)]);
  await waitUntil(() => asks.length === fleet.length - 1);
  assertEquals((await Promise.all(asks)).flat(), fleet.slice(1).map(() => true));
  assertEquals(fleet.map(({ heard }) => heard), fleet.map(() => [[1]]));
});

Deno.test("MessageSurvey asks together for the firings that come while it asks", async () => {
  await using server = await startNatsServer();
  await using worker = await AskedWorker.open(server.url);
  const firings = Array.from({ length: 50 }, (_, n) => `firing${n}`);
  const asks = firings.map((firing) => worker.askForFiring(firing));
  await Promise.allSettled(asks);
  assertEquals(worker.heard, [firings.slice(0, 1), firings.slice(1, 33), firings.slice(33)]);
});

Deno.test("MessageSurvey refuses what it asked for together over a connection that is closed, and asks on over the next", async () => {
  await using server = await startNatsServer();
  await using other = await openSession({ servers: server.url });
  await using worker = await AskedWorker.open(server.url);
  await other.connection.close(1_000);
  const lost = ["a", "b"].map((firing) => worker.askForFiring(firing, other.session));
  const asked = worker.askForFiring("c");
  assertEquals((await Promise.allSettled(lost)).map(({ status }) => status), ["rejected", "rejected"]);
  await Promise.allSettled([asked]);
  assertEquals(worker.heard, [["c"]]);
});

Deno.test("MessageSurvey hears the workers that come back after it has asked without them", async () => {
  await using server = await startNatsServer();
  await using first = await AskedWorker.open(server.url);
  assertEquals(await first.askForFiring("a"), false);
  await using second = await AskedWorker.open(server.url);
  second.answersAfter = 200;
  second.end("b");
  // On a busy machine an answer may come too late.
  await waitUntil(() => first.askForFiring("b").catch(() => false));
});

Deno.test("MessageSurvey that has counted the workers for a while waits for no further ones", async () => {
  await using server = await startNatsServer();
  await using first = await AskedWorker.open(server.url);
  await using _second = await AskedWorker.open(server.url);
  for (const until = performance.now() + 10_500; performance.now() < until;) {
    await first.askForFiring("a").catch(() => {});
  }
  await waitUntil(async () => {
    const ended: string[] = [];
    // One that always asks to its end, begun before.
    const all = first.ask(1).then(() => ended.push("all"));
    await Promise.allSettled([all, first.askForFiring("b").then(() => ended.push("counted"))]);
    return ended[0] === "counted";
  });
});
