import type { Call } from "../wire/call.ts";
import { Buffer } from "node:buffer";
import { JetStreamStoreError } from "../errors.ts";
import { shownName } from "../shown.ts";
import { parseMeta, type StoredMeta } from "./format/object_meta.ts";
import { ObjectStream } from "./_object_stream.ts";
import { ObjectChunks } from "./_object_chunks.ts";

/** Links that are followed one after the other. */
const MAX_LINKS = 8;

/** A bucket's name as other clients have it. */
const BUCKET = /^[A-Za-z0-9_-]{1,200}$/;

/** Bytes of the longest name that fits a subject. */
const MAX_NAME_BYTES = 2_250;

/** Reads the objects of one bucket. No read leaves anything on the server. */
export class ObjectReader {
  readonly #stream: ObjectStream;

  constructor(stream: ObjectStream) {
    this.#stream = stream;
  }

  /**
   * The newest info of a name: of an object, a link, or a deleted object.
   *
   * @param fromLeader Whether the leader is asked, as a replica may lag behind; else as the bucket's options say.
   */
  find(call: Call, name: string, fromLeader: boolean): Promise<StoredMeta | null> {
    const byLeader = fromLeader || undefined;
    return this.#stream.last(call, this.#stream.infoSubject(name), byLeader).then((message) => {
      if (message) return parseMeta(message);
      const otherSpelling = this.#stream.latin1InfoSubject(name);
      if (otherSpelling === undefined) return null;
      return this.#stream.last(call, otherSpelling, byLeader).then((message) => message && parseMeta(message));
    });
  }

  /**
   * Reads an object, links followed; `null` if there is none.
   *
   * @param read Reads the one that was found; `null` if chunks are missing. It is then looked for again, with the leader, as it is when it is damaged:
   * mostly the object was replaced meanwhile.
   */
  async read<T>(
    call: Call,
    name: string,
    read: (chunks: ObjectChunks) => Promise<T | null>,
  ): Promise<T | null> {
    for (let before: string | null = null;;) {
      const chunks = await this.#follow(call, name, before !== null);
      if (!chunks) return null;
      const { nuid } = chunks.meta;
      try {
        const value = await read(chunks);
        if (value !== null || nuid === before) return value;
      } catch (error) {
        if (nuid === before || !(error instanceof JetStreamStoreError && error.code === "damaged")) throw error;
      }
      before = nuid;
    }
  }

  #follow(call: Call, name: string, fromLeader: boolean, links = 0): Promise<ObjectChunks | null> {
    return this.find(call, name, fromLeader).then((meta) => {
      if (!meta || meta.deleted) return null;
      const link = meta.options?.link;
      if (!link) return new ObjectChunks(this.#stream, meta, fromLeader);
      if (links === MAX_LINKS) throw this.#badLink(name, `is behind more than ${MAX_LINKS} links`);
      if (!link.name) throw this.#badLink(name, `is a link to the whole bucket "${link.bucket}": open that one`);
      if (!BUCKET.test(link.bucket)) throw this.#badLink(name, "is a link to no bucket");
      if (typeof link.name !== "string" || Buffer.byteLength(link.name) > MAX_NAME_BYTES) {
        throw this.#badLink(name, "is a link to no object");
      }
      const reader = link.bucket === this.#stream.bucket
        ? this
        : new ObjectReader(new ObjectStream(this.#stream.context, link.bucket));
      return reader.#follow(call, link.name, fromLeader, links + 1);
    });
  }

  #badLink(name: string, what: string): JetStreamStoreError {
    return new JetStreamStoreError(
      "wrong_kind",
      `The object "${shownName(name)}" of the bucket "${this.#stream.bucket}" ${what}`,
    );
  }
}
