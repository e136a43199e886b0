import { assertEquals } from "@std/assert";
import { openSession } from "../../_support/open_session.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { GREETING, RawServer } from "../_raw_server.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The server's side of a connection. */
class Peer {
  readonly #socket: Deno.TcpConn;
  #heard = "";

  constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  /** Reads until the client has sent a text; what is behind it is for later. */
  async hear(text: string): Promise<void> {
    const buffer = new Uint8Array(4_096);
    while (!this.#heard.includes(text)) {
      const length = await this.#socket.read(buffer);
      if (length === null) throw new Error(`the client closed the connection before "${text}"`);
      this.#heard += decoder.decode(buffer.subarray(0, length));
    }
    this.#heard = this.#heard.slice(this.#heard.indexOf(text) + text.length);
  }

  /** Sends a text byte by byte, so that the client has to put it together. */
  async say(text: string): Promise<void> {
    this.#socket.setNoDelay(true);
    for (const byte of encoder.encode(text)) await this.#socket.write(Uint8Array.of(byte));
  }
}

Deno.test("a connection answers PING, and takes INFO, errors and messages at any time, wherever they are cut", async () => {
  const met = Promise.withResolvers<Peer>();
  await using server = new RawServer(async (socket) => {
    const peer = new Peer(socket);
    await peer.say(GREETING);
    await peer.hear("PING\r\n");
    await peer.say("PONG\r\n");
    met.resolve(peer);
  });
  await using client = await openSession({ servers: server.host });
  const { session, connection } = client;
  const peer = await met.promise;
  const heard: string[] = [];
  session.subscribe(
    "news",
    ({ subject, reply, data }) => void heard.push(`${subject} ${reply} ${decoder.decode(data)}`),
    (error) => {
      throw error;
    },
  );
  await peer.hear("SUB news 2\r\n");
  // What a server sends that is about to shut down.
  const info = { server_id: "x", version: "2.15.1", headers: true, max_payload: 2_222, ldm: true };
  await peer.say(`PING\r\n+OK\r\nMSG news 2 answers 5\r\nfirst\r\nINFO ${JSON.stringify(info)}\r\n`);
  await peer.hear("PONG\r\n");
  await waitUntil(() => session.maxPayload === 2_222);
  await peer.say(
    "-ERR 'Permissions Violation for Publish to \"$JS.x\"'\r\nHMSG news 2 12 18\r\nNATS/1.0\r\n\r\nsecond\r\n",
  );
  await peer.say("PING\r\n");
  await peer.hear("PONG\r\n");
  assertEquals(heard, ["news answers first", "news  second"]);
  assertEquals(connection.counters.disconnects, 0);
});
