import { type MsgArg, MsgImpl, type ProtocolHandler, State } from "@nats-io/nats-core/internal";
import { FrameParser } from "./_frame_parser.ts";
import type { PlacePayload } from "./payload_places.ts";

/** A message whose body has memory of its own. */
class LargeMessage extends MsgImpl {
  readonly #body: Uint8Array;

  constructor(line: MsgArg, head: Uint8Array, body: Uint8Array, protocol: ProtocolHandler) {
    super(line, head, protocol);
    this.#body = body;
  }

  override get data(): Uint8Array {
    return this.#body;
  }
}

/**
 * A parser that passes messages on to the subscriptions of a protocol, and all else to the NATS client's own parser: PING, PONG, INFO, +OK, -ERR.
 *
 * @param places Where the large payloads of a subscription are to stay.
 */
export function receivedFrames(protocol: ProtocolHandler, places: ReadonlyMap<number, PlacePayload>): FrameParser {
  const { parser } = protocol;
  return new FrameParser({
    small: (line, bytes) => pass(protocol, new MsgImpl(line, bytes, protocol)),
    large: (line, head, body) => pass(protocol, new LargeMessage(line, head, body, protocol)),
    other: (line) => {
      parser.parse(line);
      if (parser.state !== State.OP_START) throw new Error("a line has no text");
    },
    place: ({ sid, subject }, size) => places.get(sid)?.(subject, size),
  });
}

/** Does what the NATS client does with a message. */
function pass(protocol: ProtocolHandler, message: MsgImpl): void {
  const { sid, size } = message._msg;
  protocol.inMsgs++;
  protocol.inBytes += size;
  const subscription = protocol.subscriptions.get(sid);
  if (!subscription) return;
  subscription.received++;
  subscription.callback(null, message);
  if (subscription.max !== undefined && subscription.received >= subscription.max) subscription.unsubscribe();
}
