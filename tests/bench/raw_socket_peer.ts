import { Buffer } from "node:buffer";
import { connect } from "node:net";
import type { Sample } from "./_sampling.ts";

/** Frames that are written at once, and how many may wait for their acknowledgement: what measured fastest. */
const BURST = 250;
const WINDOW = 2_000;

const NEWLINE = 10;
const MESSAGE = "M".charCodeAt(0);
const PING = "P".charCodeAt(0);

/**
 * The server's own limit: `PUB` frames that are made beforehand, pipelined over one socket, their acknowledgements only counted.
 *
 * @param subjects What is published to, in turn.
 */
export function sampleRawPublish(port: number, subjects: string[], text: string, time: number): Promise<Sample> {
  const inbox = `_INBOX.${crypto.randomUUID()}`;
  const frame = (subject: string) => `PUB ${subject} ${inbox} ${Buffer.byteLength(text)}\r\n${text}\r\n`;
  const bursts = Array.from({ length: Math.ceil(subjects.length / BURST) }, (_, index) => {
    const some = Array.from({ length: BURST }, (_, at) => subjects[(index * BURST + at) % subjects.length]);
    return Buffer.from(some.map(frame).join(""));
  });
  return new Promise((resolve, reject) => {
    let sent = 0;
    let acknowledged = 0;
    let begin = 0;
    let lineBegins = true;
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const publish = () => {
      const over = performance.now() - begin > time;
      while (!over && sent - acknowledged <= WINDOW - BURST) {
        socket.write(bursts[(sent / BURST) % bursts.length]);
        sent += BURST;
      }
      if (!over || acknowledged < sent) return;
      socket.destroy();
      resolve({ value: sent / (performance.now() - begin) * 1000 });
    };
    socket.on("error", reject);
    socket.on("data", (data: Buffer) => {
      if (data.includes('"error"') || data.includes("-ERR")) reject(new Error(`the server refused: ${data}`));
      for (let at = 0; at < data.length; lineBegins = true) {
        if (lineBegins && data[at] === MESSAGE) acknowledged++;
        if (lineBegins && data[at] === PING) socket.write("PONG\r\n");
        const end = data.indexOf(NEWLINE, at);
        if (end < 0) {
          lineBegins = false;
          break;
        }
        at = end + 1;
      }
      if (begin > 0) publish();
    });
    socket.once("connect", () => {
      const options = { verbose: false, pedantic: false, lang: "raw", version: "1", protocol: 1 };
      socket.write(`CONNECT ${JSON.stringify(options)}\r\nSUB ${inbox} 1\r\n`);
      begin = performance.now();
      publish();
    });
  });
}
