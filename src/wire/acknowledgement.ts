/** What the subject for a message's acknowledgement says of the message. */
export interface Acknowledgement {
  stream: string;
  consumer: string;
  /** How often the message was delivered. */
  deliveries: number;
  /** The message's sequence in the stream. */
  sequence: number;
  /** Number of this delivery among the consumer's, from 1. */
  delivery: number;
  /** When the message was stored, in nanoseconds. */
  storedAt: string;
  /** Messages that match the consumer and are not delivered yet. */
  pending: number;
}

/** Tokens of the former format; the new one has at least two more. */
const TOKENS = 9;

/** Whether a reply subject is one for an acknowledgement, so that its message was delivered by a consumer. */
export function isAcknowledgement(reply: string | undefined): reply is string {
  return reply !== undefined && reply.startsWith("$JS.ACK.");
}

/**
 * Parses the subject for an acknowledgement:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<delivery>.<time>.<pending>`, in the new format (ADR-15, `js_ack_fc_v2` of nats-server) with
 * `<domain>.<account hash>.` before the stream, and possibly more tokens at the end.
 */
export function parseAcknowledgement(subject: string): Acknowledgement {
  const tokens = subject.split(".");
  const first = tokens.length > TOKENS ? 4 : 2;
  return {
    stream: tokens[first],
    consumer: tokens[first + 1],
    deliveries: Number(tokens[first + 2]),
    sequence: Number(tokens[first + 3]),
    delivery: Number(tokens[first + 4]),
    storedAt: tokens[first + 5],
    pending: Number(tokens[first + 6]),
  };
}
