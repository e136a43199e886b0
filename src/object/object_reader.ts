import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import { directBatch, leaderGet } from "../wire/direct_get.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { StreamReader } from "../wire/stream_reader.ts";
import { Budget } from "./budget.ts";
import { Digest, digestOf, sameDigest } from "./object_digest.ts";
import { parseMeta, type StoredMeta } from "./object_info.ts";
import { ObjectStream } from "./object_stream.ts";

/** Links that are followed one after the other. */
const MAX_LINKS = 8;

/** Bytes of pieces that one request asks for. */
const BATCH = 2 * 1024 * 1024;

/** Objects of at most so many bytes do not count as large. */
const SMALL = 64 * 1024;

/** Bytes that the server is asked for at the same time, over one connection: far less than it keeps for who does not take them (64 MiB). */
const IN_FLIGHT = 16 * 1024 * 1024;

/** Pieces that are asked for at the same time where each is a request of its own. */
const SINGLE_REQUESTS = 8;

/** A bucket's name as other clients have it. */
const BUCKET = /^[A-Za-z0-9_-]+$/;

const budgets: WeakMap<Session, Budget> = new WeakMap();

/** An object that was found: its record, and who reads it, which is another reader behind a link to another bucket. */
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
    const otherSpelling = this.#stream.latin1Record(name);
    if (otherSpelling === undefined) return null;
    const other = await this.#last(session, otherSpelling, deadline, sure);
    return other && parseMeta(otherSpelling, other);
  }

  /**
   * Reads an object; `null` if there is none.
   *
   * @param read Reads the one that was found; `null` if pieces are missing. It is then looked for again, with the leader, as it is when it is damaged:
   * mostly the object was replaced meanwhile.
   */
  async read<T>(
    session: Session,
    name: string,
    deadline: number,
    read: (found: Found, sure: boolean) => Promise<T | null>,
  ): Promise<T | null> {
    for (let before: string | null = null;;) {
      const found = await this.#follow(session, name, deadline, before !== null);
      if (!found) return null;
      const again = found.meta.nuid === before;
      try {
        const value = await read(found, before !== null);
        if (value !== null || again) return value;
      } catch (error) {
        if (again || !(error instanceof JetStreamStoreError && error.code === "damaged")) throw error;
      }
      before = found.meta.nuid;
    }
  }

  /** The bytes of an object, whole and of one version; `null` if there is none. */
  get(session: Session, name: string, deadline: number): Promise<Uint8Array | null> {
    return this.read(session, name, deadline, ({ reader, meta }, sure) => reader.#data(session, meta, deadline, sure));
  }

  /**
   * Pieces of an object, in their order, from behind a sequence on.
   *
   * @param count How many at most: fewer come only if there are no more, or as many as one request may ask for.
   * @param take Called with each as it comes.
   */
  async pieces(
    session: Session,
    meta: StoredMeta,
    after: number,
    count: number,
    deadline: number,
    sure: boolean,
    take: (piece: StoredMessage) => void = () => {},
  ): Promise<StoredMessage[]> {
    const pieceSize = Math.max(1, Math.ceil(meta.size / meta.chunks));
    const batch = Math.min(count, Math.max(1, Math.floor(BATCH / pieceSize)));
    const subject = this.#stream.chunks(meta.nuid);
    let budget = budgets.get(session);
    if (!budget) budgets.set(session, budget = new Budget(IN_FLIGHT));
    await budget.take(batch * pieceSize);
    try {
      if (sure || !this.#reader.direct || !session.server.atLeast("2.11")) {
        return await this.#oneByOne(session, subject, after, batch, deadline, sure);
      }
      const pieces: StoredMessage[] = [];
      await directBatch(
        session,
        this.#stream.name,
        { seq: after + 1, next_by_subj: subject, batch },
        deadline,
        (piece) => {
          take(piece);
          pieces.push(piece);
        },
      );
      return pieces;
    } finally {
      budget.give(batch * pieceSize);
    }
  }

  /** The object of a name, links followed. */
  async #follow(session: Session, name: string, deadline: number, sure: boolean, links = 0): Promise<Found | null> {
    const meta = await this.find(session, name, deadline, sure);
    if (!meta || meta.deleted) return null;
    const link = meta.options?.link;
    if (!link) return { reader: this, meta };
    if (links === MAX_LINKS) throw this.#badLink(name, `is behind more than ${MAX_LINKS} links`);
    if (!link.name) throw this.#badLink(name, `is a link to the whole bucket "${link.bucket}": open that one`);
    return await this.#behind(name, link.bucket).#follow(session, link.name, deadline, sure, links + 1);
  }

  /** @throws {JetStreamStoreError} `damaged`. */
  async #data(session: Session, meta: StoredMeta, deadline: number, sure: boolean): Promise<Uint8Array | null> {
    if (meta.size > SMALL) return await this.#largeData(session, meta, deadline, sure);
    if (meta.size === 0) return new Uint8Array(0);
    if (meta.chunks !== 1) return await this.#largeData(session, meta, deadline, sure);
    const piece = await this.#last(session, this.#stream.chunks(meta.nuid), deadline, sure);
    if (!piece) return null;
    const { data } = piece;
    if (data.length !== meta.size || !sameDigest(meta.digest, digestOf(data))) throw damaged(meta);
    return data;
  }

  async #largeData(session: Session, meta: StoredMeta, deadline: number, sure: boolean): Promise<Uint8Array | null> {
    const data = new Uint8Array(meta.size);
    const digest = new Digest();
    let after = 0, length = 0;
    for (let left = meta.chunks; left > 0;) {
      const pieces = await this.pieces(session, meta, after, left, deadline, sure);
      if (pieces.length === 0) return null;
      for (const { data: piece } of pieces) {
        if (length + piece.length > data.length) throw damaged(meta);
        digest.update(piece);
        data.set(piece, length);
        length += piece.length;
      }
      left -= pieces.length;
      after = pieces.at(-1)!.sequence;
    }
    if (length !== meta.size || !sameDigest(meta.digest, digest.end())) throw damaged(meta);
    return data;
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
    if (typeof bucket === "string" && BUCKET.test(bucket)) {
      return new ObjectReader(this.#context, new ObjectStream(this.#context, bucket, {}));
    }
    throw this.#badLink(name, "is a link to no bucket");
  }

  #badLink(name: string, what: string): JetStreamStoreError {
    return new JetStreamStoreError("wrong_kind", `The object "${name}" of the bucket "${this.#stream.bucket}" ${what}`);
  }
}

/** What to throw for an object that is not what its record says. */
export function damaged(meta: StoredMeta): JetStreamStoreError {
  return new JetStreamStoreError(
    "damaged",
    `The object "${meta.name}" of the bucket "${meta.bucket}" does not match its digest: store it again`,
  );
}
