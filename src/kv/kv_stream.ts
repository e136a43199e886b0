import { Unavailable } from "../connection/unavailable.ts";
import { BucketStream } from "../wire/bucket_stream.ts";
import type { Context } from "../wire/context.ts";
import type { Session } from "../wire/session.ts";
import { type StreamConfig, streamInfo, updateStream } from "../wire/streams.ts";
import { decodeKey } from "../wire/tokens.ts";
import type { KvBucketOptions } from "./kv_options.ts";

/** The stream under a key-value bucket: its configuration, and the subjects of keys. */
export class KvStream extends BucketStream {
  /** What precedes the key in its subject. */
  readonly prefix: string;
  #allowing: Promise<StreamConfig> | null = null;

  constructor(context: Context, bucket: string, options: KvBucketOptions) {
    const { history, maxValueSize } = options;
    const prefix = `$KV.${bucket}.`;
    super(context, bucket, options, {
      kind: "key-value bucket",
      stream: `KV_${bucket}`,
      subjects: [`${prefix}>`],
      wanted: { max_msgs_per_subject: history ?? 1, max_msg_size: maxValueSize ?? -1, deny_delete: true },
      given: { max_msgs_per_subject: history, max_msg_size: maxValueSize },
      fits: ({ max_msgs_per_subject = -1 }) => max_msgs_per_subject >= 1,
    });
    this.prefix = prefix;
  }

  /** The key of a subject. */
  keyOf(subject: string): string {
    return decodeKey(subject.slice(this.prefix.length));
  }

  /** Opens the stream, and from then on messages may have a TTL of their own. */
  async openWithTtl(session: Session, deadline: number): Promise<StreamConfig> {
    session.server.require("2.11", "The TTL of a single key");
    const config = this.config ?? await this.open(session, deadline);
    if (config.allow_msg_ttl) return config;
    this.#allowing ??= this.#allowTtl(session, deadline).finally(() => this.#allowing = null);
    return await this.#allowing;
  }

  async #allowTtl(session: Session, deadline: number): Promise<StreamConfig> {
    const info = await streamInfo(session, this.name, deadline);
    if (!info) throw new Unavailable("no_responders", `The stream ${this.name} has gone`);
    const { config } = info.config.allow_msg_ttl
      ? info
      // No markers for what expires (subject_delete_marker_ttl): clients that do not know them would read them as empty values.
      : await updateStream(session, { ...info.config, allow_msg_ttl: true }, deadline);
    return this.config = config;
  }
}
