import { nanoseconds } from "../wire/durations.ts";
import type { StreamConfig } from "../wire/streams.ts";
import type { Settings } from "../settings.ts";
import { bucketConfig } from "./bucket_config.ts";
import type { BucketKind } from "./_bucket_kind.ts";
import type { BucketOptions } from "./bucket_options.ts";

/** What the server leaves out of a configuration. */
const UNSAID: Partial<StreamConfig> = { description: "", compression: "none" };

/** What a bucket's options request of its stream. */
export class RequestedConfig {
  readonly #kind: BucketKind;
  readonly #options: BucketOptions;
  /** What is requested of an existing stream, too. */
  readonly #given: Partial<StreamConfig>;

  constructor(kind: BucketKind, options: BucketOptions) {
    this.#kind = kind;
    this.#options = options;
    const { ttl, replicas, description, maxBytes, compression } = options;
    this.#given = definedOf({
      max_age: ttl === undefined ? undefined : nanoseconds(ttl),
      num_replicas: replicas,
      description,
      max_bytes: maxBytes,
      compression: compression === undefined ? undefined : compression ? "s2" : "none",
      ...kind.given,
    });
  }

  /** Requests that something is switched on, from now on. */
  switchOn(name: "allow_msg_ttl" | "allow_atomic"): void {
    this.#given[name] = true;
  }

  /** The configuration of a new stream. */
  whole(settings: Settings): StreamConfig {
    const { ttl, storage, replicas = settings.replicas(), metadata } = this.#options;
    const config = { ttl, storage, replicas, maxBytes: settings.maxBytes() ?? -1 };
    return {
      ...bucketConfig(this.#kind.stream, this.#kind.subjects, config),
      ...this.#kind.wanted,
      ...this.#given,
      ...(metadata !== undefined && { metadata }),
    };
  }

  /** What is to change of a stream that is there; `null`: nothing. */
  changeOf(present: StreamConfig): Partial<StreamConfig> | null {
    // A write will be refused with the reason.
    if (present.sealed) return null;
    const { metadata } = this.#options;
    const has: Record<string, unknown> = { ...UNSAID, ...present };
    const change: Partial<StreamConfig> = Object.fromEntries(
      Object.entries(this.#given).filter(([name, value]) => has[name] !== value),
    );
    if (Object.entries(metadata ?? {}).some(([label, value]) => present.metadata?.[label] !== value)) {
      change.metadata = { ...present.metadata, ...metadata };
    }
    // The server does not take a window that is longer than the TTL.
    if (change.max_age && (present.duplicate_window ?? 0) > change.max_age) change.duplicate_window = change.max_age;
    return Object.keys(change).length > 0 ? change : null;
  }

  /** Whether the options request another storage than a stream has, which cannot be changed. */
  hasOtherStorage({ storage }: StreamConfig): boolean {
    return this.#options.storage !== undefined && this.#options.storage !== storage;
  }
}

function definedOf(config: Partial<StreamConfig>): Partial<StreamConfig> {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}
