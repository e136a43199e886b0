import type { Call } from "../wire/call.ts";
import { checkText, wrong } from "../checks.ts";
import { BucketStream } from "../bucket/bucket_stream.ts";
import type { Context } from "../wire/context.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import type { StreamConfig } from "../wire/streams.ts";
import { checkSubject, decodeKey, encodeKey, encodeKeyToken, isForeignKey } from "../wire/tokens.ts";
import type { KvBucketOptions } from "./kv_options.ts";

/** The stream under a key-value bucket: its configuration, and the subjects of keys. */
export class KvStream extends BucketStream {
  readonly #prefix: string;

  constructor(context: Context, bucket: string, options: KvBucketOptions) {
    const { history, maxValueSize } = options;
    const prefixOf = (bucket: string) => `$KV.${bucket}.`;
    const prefix = prefixOf(bucket);
    super(context, bucket, options, {
      kind: "key-value bucket",
      stream: `KV_${bucket}`,
      prefix: prefixOf,
      subjects: [`${prefix}>`],
      wanted: { max_msgs_per_subject: 1, deny_delete: true },
      given: { max_msgs_per_subject: history, max_msg_size: maxValueSize },
      fits: ({ max_msgs_per_subject = -1 }) => max_msgs_per_subject >= 1,
    });
    this.#prefix = prefix;
  }

  /**
   * The subject of a key.
   *
   * @throws {TypeError | RangeError} If the key is empty, no well-formed string, or too long.
   */
  subjectOf(key: string, doing: string): string {
    checkText(key, doing, "key");
    return checkSubject(this.#prefix + encodeKey(key), doing, "key");
  }

  /** The key of a subject. */
  keyOf(subject: string): string {
    const tokens = this.rest(subject);
    const key = decodeKey(tokens);
    if (encodeKey(key) !== tokens) this.observed.foreignKeys = true;
    return key;
  }

  /** The subject that a listed key of another client has, if that may be another one than {@linkcode KvStream.subjectOf} gives. */
  foreignSubjectOf(key: string): string | null {
    const isLikely = this.observed.foreignKeys || /(^|\.)=/.test(key);
    return isLikely && isForeignKey(key) ? this.#prefix + key : null;
  }

  /**
   * The subjects of a filter over keys: its tokens `*` (any one token) and, at the end, `>` (one or more tokens) stay as they are, all others are
   * encoded as those of a key.
   *
   * @throws {TypeError} If it is no well-formed string, or empty.
   * @throws {RangeError} If `>` is not at the end, or it is too long.
   */
  subjectsOf(filter: string, doing: string): string {
    checkText(filter, doing, "filter");
    const tokens = filter.split(".");
    if (tokens.indexOf(">") >= 0 && tokens.indexOf(">") < tokens.length - 1) {
      throw wrong(RangeError, `${doing} as 'filter' must have '>' at its end only`, filter);
    }
    const encoded = tokens.map((token) => token === "*" || token === ">" ? token : encodeKeyToken(token));
    return checkSubject(this.#prefix + encoded.join("."), doing, "filter");
  }

  /** The newest message of each of the keys that has one. */
  async newest(call: Call, subjects: Map<string, string>): Promise<Map<string, StoredMessage>> {
    const found = await this.#newestOf(call, subjects);
    const others = new Map<string, string>();
    for (const [key, subject] of subjects) if (!found.has(key)) others.set(key, subject);
    if (others.size === 0) return found;
    const isOther = !this.isSeen(call.session) && await this.look(call);
    if (isOther) return await this.#newestOf(call, subjects);
    const foreign = new Map<string, string>();
    for (const key of others.keys()) {
      const subject = this.foreignSubjectOf(key);
      if (subject !== null) foreign.set(key, subject);
    }
    if (foreign.size === 0) return found;
    return new Map([...found, ...await this.#newestOf(call, foreign)]);
  }

  async #newestOf(
    call: Call,
    subjects: Map<string, string>,
  ): Promise<Map<string, StoredMessage>> {
    const keys = new Map(Array.from(subjects, ([key, subject]) => [this.stored(subject), key]));
    const messages = await this.reader.many(call, [...keys.keys()]);
    const found = new Map<string, StoredMessage>();
    for (const message of messages) {
      const key = keys.get(message.subject);
      // Servers take a literal asterisk within a token of another client for a wildcard.
      if (key !== undefined) found.set(key, message);
    }
    return found;
  }

  /** Opens the stream, and from then on messages may have a TTL of their own. */
  openWithTtl(call: Call): Promise<StreamConfig> {
    // No markers for what expires (subject_delete_marker_ttl): clients without support for them would read them as empty values.
    return this.openWith(call, "allow_msg_ttl", "2.11", "The TTL of a single key");
  }
}
