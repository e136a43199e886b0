import type { JetStreamManager } from "@nats-io/jetstream";
import { Buffer } from "node:buffer";
import { encodeObjectName } from "../../src/wire/tokens.ts";
import type { Contestant } from "./_comparison.ts";
import { type RawWork, sampleRaw } from "./_raw_socket.ts";

/** Calls that are written at once, and how many may wait for their replies: what measured fastest for small ones. */
const BURST = 250;
const WINDOW = 2_000;

/** Bytes of a chunk, and chunks that this library asks for at once. */
const CHUNK = 131_072;
const PAGE = 16;

const LINE_END = "\r\n";

/** What one raw socket gets out of the server, as a peer of a measure. */
export function rawPeer(
  port: number,
  time: number,
  what: string,
  floor: number | undefined,
  work: RawWork,
): Contestant {
  return {
    peer: `raw ${what}, one socket`,
    note: "the server's limit",
    floor,
    sample: () => sampleRaw(port, work, time),
  };
}

/** `PUB` frames of one text, to the subjects in turn. */
export function rawPublish(subjects: string[], text: string, inFlight: number): RawWork {
  return repeated(pipeline(inFlight), 1, (index, inbox) => {
    return `PUB ${subjects[index % subjects.length]} ${inbox}.1 ${Buffer.byteLength(text)}\r\n${text}\r\n`;
  });
}

/** Direct gets of the newest message of each subject in turn: each call asks for one message of each list of subjects. */
export function rawGets(stream: string, subjects: string[][], inFlight: number): RawWork {
  return repeated(pipeline(inFlight), subjects.length, (index, inbox) =>
    subjects.map((list) => {
      const subject = list[index % list.length];
      return `PUB $JS.API.DIRECT.GET.${stream}.${subject} ${inbox}.1 0\r\n\r\n`;
    }).join(""));
}

/** Chunk and info frames of small objects, with message id and rollup, as this library stores them. */
export function rawObjects(bucket: string, names: string[], text: string, inFlight: number): RawWork {
  const run = crypto.randomUUID().slice(0, 8);
  const info = JSON.stringify({ name: names[0], bucket, nuid: "", size: text.length, chunks: 1, digest: "" }).padEnd(
    330,
  );
  return fresh(pipeline(inFlight), 2, (index, inbox) => {
    const id = versionId(run, index);
    return hpub(`$O.${bucket}.C.${id}`, `${inbox}.1`, `Nats-Msg-Id: ${id}`, text) +
      hpub(
        `$O.${bucket}.M.${encodeObjectName(names[index % names.length])}`,
        `${inbox}.1`,
        `Nats-Rollup: sub\r\nNats-Expected-Last-Msg-Id: ${id}`,
        info,
      );
  });
}

/** Publishes of jobs of one text, each with an id of its own, as this library stores them; one at a time. */
export function rawJobs(queue: string, text: string): RawWork {
  const run = crypto.randomUUID().slice(0, 8);
  return fresh(pipeline(1), 1, (index, inbox) => {
    const id = versionId(run, index);
    return hpub(`wq.${queue}.ready.normal.${id}`, `${inbox}.1`, `Nats-Msg-Id: ${id}`, text);
  });
}

/** Messages to oneself, without JetStream; one at a time. */
export function rawDelivery(text: string): RawWork {
  return repeated(pipeline(1), 1, (_, inbox) => `PUB ${inbox}.1 ${Buffer.byteLength(text)}\r\n${text}\r\n`);
}

/** What the server answers at once; one at a time. */
export function rawPing(): RawWork {
  return repeated(pipeline(1), 1, () => "PING\r\n");
}

/** Where an object of several chunks lies in its stream. */
export interface ObjectPlace {
  info: string;
  chunks: string;
  /** Sequence of its first chunk. */
  first: number;
}

/** Finds objects that this library has stored. */
export function placesOf(jsm: JetStreamManager, bucket: string, names: string[]): Promise<ObjectPlace[]> {
  return Promise.all(names.map(async (name) => {
    const stream = `OBJ_${bucket}`;
    const info = `$O.${bucket}.M.${encodeObjectName(name)}`;
    const record = await jsm.streams.getMessage(stream, { last_by_subj: info });
    const { nuid } = record!.json<{ nuid: string }>();
    const chunks = `$O.${bucket}.C.${nuid}`;
    // Its types leave out how to ask for the next message of a subject.
    const query = { seq: 1, next_by_subj: chunks };
    const chunk = await jsm.streams.getMessage(stream, query);
    return { info, chunks, first: chunk!.seq };
  }));
}

/** Direct gets of objects: the info, then their chunks, a page by each request. */
export function rawObjectReads(bucket: string, places: ObjectPlace[], bytes: number, inFlight: number): RawWork {
  const stream = `OBJ_${bucket}`;
  const chunks = Math.ceil(bytes / CHUNK);
  const pages = Math.ceil(chunks / PAGE);
  // Each page is closed by a reply of its own.
  return repeated({ burst: 1, window: inFlight }, 1 + chunks + pages, read);

  function read(index: number, inbox: string): string {
    const { info, chunks: subject, first } = places[index % places.length];
    let frames = `PUB $JS.API.DIRECT.GET.${stream}.${info} ${inbox}.1 0\r\n\r\n`;
    for (let from = 0; from < chunks; from += PAGE) {
      const query = { seq: first + from, next_by_subj: subject, batch: Math.min(PAGE, chunks - from) };
      const body = JSON.stringify(query);
      frames += `PUB $JS.API.DIRECT.GET.${stream} ${inbox}.1 ${body.length}\r\n${body}\r\n`;
    }
    return frames;
  }
}

/** Chunk frames of a large object, its info, and the removal of the version that it replaces, as this library stores it. */
export function rawObjectWrites(bucket: string, names: string[], bytes: number, inFlight: number): RawWork {
  const run = crypto.randomUUID().slice(0, 8);
  const body = Buffer.alloc(CHUNK, 7);
  const end = Buffer.from(LINE_END);
  const chunks = Math.ceil(bytes / CHUNK);
  return {
    burst: 1,
    window: inFlight,
    replies: chunks + 1,
    frames: (index, inbox) => {
      const id = versionId(run, index);
      const head = Buffer.from(`PUB $O.${bucket}.C.${id} ${inbox}.1 ${CHUNK}\r\n`);
      const subject = `$O.${bucket}.M.${encodeObjectName(names[index % names.length])}`;
      const info = Buffer.from(
        hpub(subject, `${inbox}.1`, "Nats-Rollup: sub", JSON.stringify({ nuid: id }).padEnd(330)),
      );
      const removal = Buffer.from(purge(bucket, versionId(run, index - names.length)));
      return [...Array.from({ length: chunks }, () => [head, body, end]).flat(), info, removal];
    },
  };
}

function versionId(run: string, index: number): string {
  return `${run}${String(index).padStart(14, "0")}`;
}

/** Removes the chunks of a version; nobody waits for the reply. */
function purge(bucket: string, id: string): string {
  const body = JSON.stringify({ filter: `$O.${bucket}.C.${id}` });
  return `PUB $JS.API.STREAM.PURGE.OBJ_${bucket} _INBOX.none ${body.length}\r\n${body}\r\n`;
}

function hpub(subject: string, reply: string, headers: string, body: string): string {
  const block = `NATS/1.0\r\n${headers}\r\n\r\n`;
  return `HPUB ${subject} ${reply} ${block.length} ${block.length + Buffer.byteLength(body)}\r\n${block}${body}\r\n`;
}

/** How many calls are written at once, and may wait. */
type Pipeline = Pick<RawWork, "burst" | "window">;

function pipeline(inFlight: number): Pipeline {
  return inFlight === 1 ? { burst: 1, window: 1 } : { burst: BURST, window: WINDOW };
}

/** Calls that differ at each turn. */
function fresh(pipeline: Pipeline, replies: number, frame: (index: number, inbox: string) => string): RawWork {
  const { burst } = pipeline;
  return {
    ...pipeline,
    replies,
    frames: (
      index,
      inbox,
    ) => [Buffer.from(Array.from({ length: burst }, (_, at) => frame(index + at, inbox)).join(""))],
  };
}

/** Calls that are the same again after a thousand: they are made once. */
function repeated(pipeline: Pipeline, replies: number, frame: (index: number, inbox: string) => string): RawWork {
  const work = fresh(pipeline, replies, frame);
  const made = new Map<string, readonly Uint8Array[]>();
  return {
    ...work,
    frames: (index, inbox) => {
      const turn = index % 1_000;
      const key = `${inbox} ${turn}`;
      const frames = made.get(key) ?? work.frames(turn, inbox);
      made.set(key, frames);
      return frames;
    },
  };
}
