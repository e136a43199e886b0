import { settledWithin } from "../delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import type { Call } from "./call.ts";

/** Milliseconds without an answer after which it is asked whether there is a stream. */
const SILENCE_MS = 800;

/** Milliseconds that this question may take. */
const LOOK_MS = 1_000;

/**
 * Waits for the answer of a stream of another domain or account, whose JetStream does not report that there are no responders, as the connected server
 * does. Without an answer for a while, a request checks that the stream is there.
 *
 * @param answer Settles in time by itself.
 * @param hasStream Returns whether there is a stream that answers; it gets a call of its own deadline.
 * @throws {Unavailable} `no_responders`, if there is none.
 */
export async function answerOrNoStream<T>(
  call: Call,
  answer: Promise<T>,
  hasStream: (call: Call) => Promise<boolean>,
): Promise<T> {
  if (await settledWithin(answer, SILENCE_MS)) return await answer;
  const checked = hasStream(call.until(performance.now() + LOOK_MS)).then(
    (has) => {
      if (has) return answer;
      throw new Unavailable("no_responders", "There is no stream that answers");
    },
    // Whatever keeps it from being known, the answer may still arrive.
    () => answer,
  );
  return await Promise.race([answer, checked]);
}
