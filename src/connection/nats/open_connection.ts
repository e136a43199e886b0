import type { ConnectionOptions, NatsConnection, Payload, PublishOptions } from "@nats-io/nats-core";
import { deferred, NatsConnectionImpl, ProtocolHandler } from "@nats-io/nats-core/internal";
import { Buffer } from "node:buffer";
import { nextTick } from "node:process";
import { JetStreamStoreError } from "../../errors.ts";
import { Outgoing } from "./_outgoing.ts";
import { receivedFrames } from "./_received_frames.ts";
import type { OwnTransport, ReadBlock } from "./_transport.ts";
import { asksForPlaces } from "./payload_places.ts";

/** Bytes that subject and reply subject may have: with the sizes of a message they fill the server's control line of 4096. */
const MAX_ADDRESS = 4_060;

const NO_HEADERS =
  "The server takes no message headers, which this needs: remove no_header_support from its configuration";
const LINE_END = "\r\n";
const NO_SUBJECT = /^$|[ \n\r\t]/;

/**
 * Opens a connection to one server over a transport of its own.
 *
 * `NatsConnectionImpl.connect()` would take the transport from a setting that all users of `@nats-io/nats-core` in the process share: the
 * connections of the program itself would come back over ours after their next loss.
 *
 * @param stop Gives it up at once.
 */
export async function openConnection(
  options: ConnectionOptions,
  transport: OwnTransport,
  stop: AbortSignal,
): Promise<NatsConnection> {
  const nc: NatsConnectionImpl = Reflect.construct(NatsConnectionImpl, [options]);
  const protocol = nc.protocol = new ProtocolHandler(nc.options, nc);
  protocol.transport = transport;
  const { publish, ...sending } = sendInBlocks(protocol, transport);
  Object.assign(protocol, { prepare: () => begin(protocol), ...sending });
  Object.assign(nc, { publish });
  transport.onBlock = readFrames(nc, transport);
  const giveUp = () => void protocol.close(new Error("the connection was given up"));
  if (stop.aborted) giveUp();
  stop.addEventListener("abort", giveUp, { once: true });
  try {
    await protocol.dialLoop();
    return nc;
  } finally {
    stop.removeEventListener("abort", giveUp);
  }
}

/** Ties the protocol to its transport; the promise settles when the server has let us in or not. */
function begin(protocol: ProtocolHandler): Promise<void> {
  const admitted = deferred<void>();
  admitted.catch(() => {});
  protocol.pongs.unshift(admitted);
  protocol.connectError = (error) => admitted.reject(error);
  protocol.transport.closed().then((error) => {
    protocol.connected = false;
    // What the server said before it closed the connection is the better reason.
    if (!protocol.isClosed()) protocol.disconnected(protocol.lastError ?? (error || undefined));
  });
  return admitted;
}

/** Reads what the server sends. Bytes that are not the NATS protocol end the transport. */
function readFrames(nc: NatsConnectionImpl, transport: OwnTransport): ReadBlock {
  const frames = receivedFrames(nc.protocol, asksForPlaces(nc));
  return (block, least) => {
    try {
      return frames.parse(block, least);
    } catch (cause) {
      transport.close(new Error(`the server does not speak NATS: ${(cause as Error).message}`, { cause }));
      return block.length;
    }
  };
}

/**
 * Sends what is added within one turn of the event loop together, and larger amounts at once. Acknowledgements come one by one, and a write costs as
 * much as ten of them; but while we gather more than one block, the server would have nothing to do.
 */
function sendInBlocks(protocol: ProtocolHandler, transport: OwnTransport) {
  const outbound = new Outgoing();
  const flushPending = (): void => {
    if (protocol.connected && outbound.size() > 0) transport.sendAll(outbound.drain());
  };
  const sendCommand = (...parts: (string | Uint8Array)[]): void => {
    const first = outbound.size() === 0;
    outbound.add(...parts);
    if (first) nextTick(flushPending);
    if (outbound.isFull()) flushPending();
  };
  const publish = (subject: string, payload: Payload = "", options: PublishOptions = {}): void => {
    const { reply = "", headers } = options;
    if (protocol.isClosed() || protocol.noMorePublishing) throw new Error("the connection is closing");
    if (NO_SUBJECT.test(subject)) {
      throw new TypeError("a subject must not be empty, nor have spaces or line ends in it");
    }
    // Such a server would close the connection.
    if (headers && !protocol.info?.headers) throw new JetStreamStoreError("unsupported", NO_HEADERS);
    const block = headers ? headers.toString() : "";
    const blockSize = Buffer.byteLength(block);
    const size = blockSize + (typeof payload === "string" ? Buffer.byteLength(payload) : payload.length);
    const max = protocol.info?.max_payload ?? Infinity;
    if (size > max) throw new RangeError(`A message of ${size} bytes is over the server's max_payload of ${max}`);
    // Only names that another client gave are that long; the server would close the connection, again and again.
    const address = subject.length > MAX_ADDRESS / 4 ? Buffer.byteLength(subject) + reply.length : 0;
    if (address > MAX_ADDRESS) throw new RangeError(`A subject of ${address} bytes is over the server's control line`);
    const command = headers
      ? `HPUB ${subject} ${reply} ${blockSize} ${size}\r\n${block}`
      : `PUB ${subject} ${reply} ${size}\r\n`;
    sendCommand(command, payload, LINE_END);
    protocol.outBytes += size;
    protocol.outMsgs++;
  };
  return { outbound, flushPending, sendCommand, publish };
}
