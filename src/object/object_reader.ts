import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import { directBatch, leaderGet } from "../wire/direct_get.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { StreamReader } from "../wire/stream_reader.ts";
import { ByteBudget } from "./byte_budget.ts";
import { digestOf, sameDigest } from "./object_digest.ts";
import { parseMeta, type StoredMeta } from "./object_info.ts";
import { ObjectStream } from "./object_stream.ts";

/** Links that are followed one after the other. */
const MAX_LINKS = 8;

/** Bytes of pieces that one request asks for. */
const BATCH = 4 * 1024 * 1024;

/** Objects of at most so many bytes do not count as large. */
const SMALL = 64 * 1024;

/** Bytes that the server is asked for at the same time, over one connection: far less than it keeps for who does not take them (64 MiB). */
const IN_FLIGHT = 16 * 1024 * 1024;

/** Pieces that are asked for at the same time where each is a request of its own. */
const SINGLE_REQUESTS = 8;

const budgets: WeakMap<Session, ByteBudget> = new WeakMap();

/** An object that was found: its record, and who reads it, which is another one behind a link to another bucket. */
export interface Found {
  reader: ObjectReader;
  meta: StoredMeta;
}

/** Reads the objects of one bucket. No read leaves anything on the server. */
export class ObjectReader {
  readonly #context: Context;
  readonly #stream: ObjectStream;
  readonly #reader: StreamReader;

  constructor(context: Context, stream: ObjectStream) {
    this.#context = context;
    this.#stream = stream;
    this.#reader = new StreamReader(stream.name);
  }

  /**
   * The newest record of a name: of an object, a link, or a deleted object.
   *
   * @param sure Whether the leader is asked: a replica may lag behind.
   */
  async find(session: Session, name: string, deadline: number, sure: boolean): Promise<StoredMeta | null> {
    const subject = this.#stream.record(name);
    const message = await this.#last(session, subject, deadline, sure);
    if (message) return parseMeta(subject, message);
    const spelledOtherwise = this.#stream.latin1Record(name);
    if (spelledOtherwise === undefined) return null;
    const older = await this.#last(session, spelledOtherwise, deadline, sure);
    return older && parseMeta(spelledOtherwise, older);
  }

  /** The object of a name, links followed; `null` if there is none, or no more. */
  async follow(session: Session, name: string, deadline: number, sure: boolean): Promise<Found | null> {
    let found: Found = { reader: this, meta: await this.find(session, name, deadline, sure) as StoredMeta };
    for (let links = 0;; links++) {
      if (!found.meta || found.meta.deleted) return null;
      const link = found.meta.options?.link;
      if (!link) return found;
      if (links === MAX_LINKS) throw badLink(name, `leads through more than ${MAX_LINKS} links`);
      if (!link.name) throw badLink(name, `is a link to the whole bucket "${link.bucket}": open that one`);
      const reader: ObjectReader = found.reader.#behind(name, link.bucket);
      found = { reader, meta: await reader.find(session, link.name, deadline, sure) as StoredMeta };
    }
  }

  /** The bytes of an object, whole and of one version; `null` if there is none. */
  async get(session: Session, name: string, deadline: number): Promise<Uint8Array | null> {
    let before: string | undefined;
    for (;;) {
      // Whatever is not as it must be is looked at again, with the leader: mostly the object was replaced meanwhile.
      const sure = before !== undefined;
      const found = await this.follow(session, name, deadline, sure);
      if (!found) return null;
      const { reader, meta } = found;
      const data = await reader.#data(session, meta, deadline, sure);
      if (data && isWhole(meta, data)) return data;
      if (meta.nuid === before) {
        if (data) throw damaged(meta);
        return null;
      }
      before = meta.nuid;
    }
  }

  /**
   * Pieces of an object, in their order, from behind a sequence on.
   *
   * @param count How many: fewer come only if there are no more.
   */
  async pieces(
    session: Session,
    meta: StoredMeta,
    after: number,
    count: number,
    deadline: number,
    sure: boolean,
  ): Promise<StoredMessage[]> {
    const subject = this.#stream.chunks(meta.nuid);
    const bytes = count * pieceSize(meta);
    const budget = budgetOf(session);
    await budget.take(bytes);
    try {
      if (sure || !this.#reader.direct || !session.server.atLeast("2.11")) {
        return await this.#oneByOne(session, subject, after, count, deadline, sure);
      }
      const pieces: StoredMessage[] = [];
      const query = { seq: after + 1, next_by_subj: subject, batch: count };
      await directBatch(session, this.#stream.name, query, deadline, (message) => void pieces.push(message));
      return pieces;
    } finally {
      budget.give(bytes);
    }
  }

  async #data(session: Session, meta: StoredMeta, deadline: number, sure: boolean): Promise<Uint8Array | null> {
    if (meta.size === 0) return new Uint8Array(0);
    if (meta.chunks === 1 && meta.size <= SMALL) {
      const piece = await this.#last(session, this.#stream.chunks(meta.nuid), deadline, sure);
      return piece && piece.data;
    }
    const data = new Uint8Array(meta.size);
    let after = 0, length = 0;
    for (let left = meta.chunks; left > 0;) {
      const pieces = await this.pieces(session, meta, after, Math.min(left, batchOf(meta)), deadline, sure);
      if (pieces.length === 0) return null;
      for (const { data: piece } of pieces) {
        if (length + piece.length > data.length) return data;
        data.set(piece, length);
        length += piece.length;
      }
      left -= pieces.length;
      after = pieces.at(-1)!.sequence;
    }
    return data.subarray(0, length);
  }

  /** Where there are no batches several single requests are under way; a piece that lies beyond the next sequences is answered to more than one. */
  async #oneByOne(
    session: Session,
    subject: string,
    after: number,
    count: number,
    deadline: number,
    sure: boolean,
  ): Promise<StoredMessage[]> {
    const pieces: StoredMessage[] = [];
    while (pieces.length < count) {
      const requests = Array.from({ length: Math.min(SINGLE_REQUESTS, count - pieces.length) }, (_, i) => {
        const query = { seq: after + 1 + i, next_by_subj: subject };
        return sure
          ? leaderGet(session, this.#stream.name, query, deadline)
          : this.#reader.get(session, query, deadline);
      });
      for (const piece of await Promise.all(requests)) {
        if (!piece) return pieces;
        if (piece.sequence <= after) continue;
        pieces.push(piece);
        after = piece.sequence;
      }
    }
    return pieces;
  }

  #last(session: Session, subject: string, deadline: number, sure: boolean): Promise<StoredMessage | null> {
    return sure
      ? leaderGet(session, this.#stream.name, { last_by_subj: subject }, deadline)
      : this.#reader.last(session, subject, deadline);
  }

  /** Who reads what a link leads to. */
  #behind(name: string, bucket: unknown): ObjectReader {
    if (bucket === this.#stream.bucket) return this;
    if (typeof bucket !== "string" || !/^[A-Za-z0-9_-]+$/.test(bucket)) throw badLink(name, "names no bucket");
    return new ObjectReader(this.#context, new ObjectStream(this.#context, bucket, {}));
  }
}

/** Pieces that one request asks for. */
export function batchOf(meta: StoredMeta): number {
  return Math.max(1, Math.floor(BATCH / pieceSize(meta)));
}

/** What to throw for an object that is not what its record says. */
export function damaged(meta: StoredMeta): JetStreamStoreError {
  return new JetStreamStoreError(
    "damaged",
    `The object "${meta.name}" of the bucket "${meta.bucket}" does not match its digest: store it again`,
  );
}

function pieceSize({ size, chunks }: StoredMeta): number {
  return Math.max(1, Math.ceil(size / Math.max(1, chunks)));
}

function isWhole(meta: StoredMeta, data: Uint8Array): boolean {
  return data.length === meta.size && sameDigest(meta.digest, digestOf(data));
}

function badLink(name: string, what: string): JetStreamStoreError {
  return new JetStreamStoreError("wrong_kind", `The object "${name}" ${what}`);
}

function budgetOf(session: Session): ByteBudget {
  let budget = budgets.get(session);
  if (!budget) budgets.set(session, budget = new ByteBudget(IN_FLIGHT));
  return budget;
}
