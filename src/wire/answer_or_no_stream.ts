import { settledWithin } from "../connection/delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { api } from "./api.ts";
import type { Session } from "./session.ts";

/** Milliseconds without an answer after which it is asked whether there is a stream. */
const SILENCE_MS = 800;

/** Milliseconds that this question may take. */
const LOOK_MS = 1_000;

/**
 * Waits for the answer to a message that a stream is to store. The JetStream of another domain or account does not say that no stream listens, as the
 * connected server does; so without an answer for a while it is asked.
 *
 * @param answer Settles in time by itself.
 * @throws {Unavailable} `no_responders`, if no stream listens to the subject.
 */
export async function answerOrNoStream<T>(session: Session, subject: string, answer: Promise<T>): Promise<T> {
  if (await settledWithin(answer, SILENCE_MS)) return await answer;
  const missing = hasStream(session, subject).then((has) => {
    if (has) return answer;
    throw new Unavailable("no_responders", `No stream listens to ${subject}`);
  });
  return await Promise.race([answer, missing]);
}

/** Whether a stream listens to a subject, as far as can be told. */
async function hasStream(session: Session, subject: string): Promise<boolean> {
  try {
    const deadline = performance.now() + LOOK_MS;
    const { streams } = await api<{ streams: string[] | null }>(session, "STREAM.NAMES", { subject }, deadline);
    return (streams ?? []).length > 0;
  } catch {
    // Whatever keeps it from being known, the answer may still arrive.
    return true;
  }
}
