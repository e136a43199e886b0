import type { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { percentiles, type Sample } from "./_sampling.ts";

const NEWLINE = 10;
const SPACE = " ".charCodeAt(0);
const LETTER_E = "e".charCodeAt(0);
/** Where the status follows in the headers of a reply, and the name of the first field in a reply of JSON. */
const STATUS_AT = "NATS/1.0".length;
const FIELD_AT = '{"'.length;
/** The end of a batch. */
const END_OF_BATCH = "204";

/** What is done again and again over one raw socket, without any client's logic. */
export interface RawWork {
  /** The bytes of the calls from `index` on, as many as `burst` says; the server is to reply to subjects below `inbox`. */
  frames(index: number, inbox: string): readonly Uint8Array[];
  /** Calls that are written at once. */
  burst: number;
  /** Calls that may wait for their replies. */
  window: number;
  /** Replies to one call. */
  replies: number;
}

/**
 * What one raw socket gets out of the server for some work: its frames pipelined, its replies only counted. With one call at a time it is the time of
 * a call in microseconds, else calls per second.
 *
 * @param time Milliseconds.
 */
export function sampleRaw(port: number, work: RawWork, time: number): Promise<Sample> {
  const { burst, window, replies } = work;
  const inbox = `_INBOX.${crypto.randomUUID()}`;
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const counter = new ReplyCounter(socket);
    const took: number[] = [];
    let sent = 0;
    let begin = 0;
    let called = 0;
    const go = () => {
      const now = performance.now();
      const done = Math.floor(counter.count / replies);
      if (window === 1 && sent > 0 && done === sent) took.push((now - called) * 1000);
      const over = now - begin > time;
      while (!over && sent - done <= window - burst) {
        called = performance.now();
        socket.cork();
        for (const frame of work.frames(sent, inbox)) socket.write(frame);
        socket.uncork();
        sent += burst;
      }
      if (!over || done < sent) return;
      socket.destroy();
      resolve(window === 1 ? percentiles(took) : { value: sent / (now - begin) * 1000 });
    };
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the server closed the connection")));
    socket.on("data", (data: Buffer) => {
      try {
        counter.take(data);
        if (begin > 0) go();
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    });
    socket.once("connect", () => {
      const options = { verbose: false, pedantic: false, lang: "raw", version: "1", protocol: 1, headers: true };
      socket.write(`CONNECT ${JSON.stringify({ ...options, no_responders: true })}\r\nSUB ${inbox}.* 1\r\n`);
      begin = performance.now();
      go();
    });
  });
}

/** Counts the replies in what a server sends, and looks at nothing but their sizes and whether they are errors. */
class ReplyCounter {
  readonly #socket: Socket;
  /** Bytes of a reply's headers and body that are still to come. */
  #rest = 0;
  /** A first line of which only the beginning has come. */
  #line = "";
  count = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  take(data: Buffer): void {
    for (let at = 0; at < data.length;) {
      if (this.#rest > 0) {
        const here = Math.min(this.#rest, data.length - at);
        this.#rest -= here;
        at += here;
        if (this.#rest === 0) this.count++;
        continue;
      }
      const end = data.indexOf(NEWLINE, at);
      if (end < 0) {
        this.#line += data.toString("latin1", at);
        return;
      }
      const line = this.#line + data.toString("latin1", at, end).trimEnd();
      this.#line = "";
      at = end + 1;
      this.#begin(line, data, at);
    }
  }

  #begin(line: string, data: Buffer, at: number): void {
    if (line.startsWith("HMSG ") || line.startsWith("MSG ")) {
      if (isRefusal(line.startsWith("H"), data, at)) {
        throw new Error(`the server refused: ${data.toString("latin1", at, at + 200)}`);
      }
      this.#rest = Number(line.slice(line.lastIndexOf(" ") + 1)) + 2;
    } else if (line === "PING") {
      this.#socket.write("PONG\r\n");
    } else if (line === "PONG") {
      this.count++;
    } else if (line.startsWith("-ERR")) {
      throw new Error(`the server refused: ${line}`);
    }
  }
}

function isRefusal(headers: boolean, data: Buffer, at: number): boolean {
  if (!headers) return data[at + FIELD_AT] === LETTER_E;
  const status = at + STATUS_AT;
  return data[status] === SPACE &&
    data.toString("latin1", status + 1, status + 1 + END_OF_BATCH.length) !== END_OF_BATCH;
}
