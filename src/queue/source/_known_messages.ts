import type { Msg } from "@nats-io/nats-core";

/** The state of a message at a worker: it has its job, or has ended it. */
export type MessageState = "held" | "ended";

/**
 * Which messages are asked for: their sequences, and when they were stored (milliseconds); of delayed ones, the firing, too. With a sequence of 0: a
 * firing alone, of which only messages before a sequence count.
 */
export type KnownQuestion = [sequence: number, storedAt: number, firing?: string, before?: number][];

/** Messages that are asked for at once. */
export const MAX_ASKED = 32;

/** Bytes that the question and the answer for one message have at most. */
const MAX_BYTES_EACH = 64;

/**
 * Reads a question.
 *
 * @throws {TypeError | SyntaxError} If it is malformed or too long.
 */
export function readQuestion(message: Msg): KnownQuestion {
  const asked = readList(message, MAX_ASKED);
  for (const one of asked) {
    if (!Array.isArray(one) || !isMessage(one)) throw new TypeError("No sequence and time of a message");
  }
  return asked as KnownQuestion;
}

/**
 * Reads an answer: one state for each message that was asked for.
 *
 * @throws {TypeError | SyntaxError} If it is malformed or too long.
 */
export function readAnswer(message: Msg, length: number): (MessageState | null)[] {
  const states = readList(message, length);
  if (states.length !== length || !states.every((state) => state === null || state === "held" || state === "ended")) {
    throw new TypeError("No states of the messages");
  }
  return states as (MessageState | null)[];
}

function isMessage([sequence, storedAt, firing, before]: unknown[]): boolean {
  return Number.isSafeInteger(sequence) && Number.isFinite(storedAt) &&
    (firing === undefined || typeof firing === "string") && (before === undefined || Number.isSafeInteger(before));
}

function readList(message: Msg, maxLength: number): unknown[] {
  if (message.data.length > maxLength * MAX_BYTES_EACH) throw new TypeError("Too long");
  const list = message.json<unknown>();
  if (!Array.isArray(list) || list.length > maxLength) throw new TypeError("No list");
  return list;
}
