import type { Call } from "../wire/call.ts";
import { JetStreamStoreError } from "../errors.ts";
import { orElsePermission } from "../wire/api.ts";
import type { Session } from "../wire/session.ts";
import { type StreamConfig, streamInfo } from "../wire/streams.ts";

/** Mirrors of mirrors that are followed to their origin. */
const MAX_MIRRORS = 8;

/** What one kind of buckets has of its own. */
export interface BucketKind {
  /** What it is called, for instance "object bucket". */
  kind: string;
  stream: string;
  /** What the subjects of a bucket begin with. */
  prefix: (bucket: string) => string;
  subjects: string[];
  /** What a new stream has beyond the common. */
  wanted?: Partial<StreamConfig>;
  /** What its own options request, also of an existing stream; `undefined`: nothing. */
  given?: Partial<StreamConfig>;
  /** Whether the rest of a stream's configuration is one of this kind. */
  fits?: (config: StreamConfig) => boolean;
}

/** What is known of a stream without having opened it, shared by all handles. */
export class ObservedStream {
  /** In which session it was last seen to be a bucket. */
  seenIn: Session | null = null;
  /** What the subjects of a mirror begin with, as in the bucket that it mirrors. */
  origin: string | null = null;
  /** Whether there are keys of other clients that no key here is encoded to. */
  foreignKeys = false;
}

/**
 * Checks that a stream is a bucket of a kind, or the mirror of one, which can be read.
 *
 * @throws {JetStreamStoreError} `wrong_kind`, if it is not.
 */
export function checkReadable(kind: BucketKind, config: StreamConfig): void {
  const { mirror } = config;
  if (mirror ? mirrored(kind, mirror.name) !== null : isBucket(kind, config)) return;
  throw new JetStreamStoreError(
    "wrong_kind",
    `The stream ${kind.stream} is no ${kind.kind}: choose another bucket name, or remove it`,
  );
}

/**
 * Checks that a stream is a bucket of a kind that takes writes.
 *
 * @throws {JetStreamStoreError} `wrong_kind`, if it is not.
 */
export function checkWritable(kind: BucketKind, config: StreamConfig): void {
  checkReadable(kind, config);
  if (!config.mirror) return;
  throw new JetStreamStoreError(
    "wrong_kind",
    `The stream ${kind.stream} is the mirror of the ${kind.kind} ${config.mirror.name} and can only be read: write to that one`,
  );
}

/** What the subjects of a mirror begin with: those of the bucket at the end of all mirrors. `null` if it has subjects of its own. */
export async function originPrefix(
  call: Call,
  kind: BucketKind,
  { mirror }: StreamConfig,
): Promise<string | null> {
  for (let left = MAX_MIRRORS; mirror && !mirror.subject_transforms?.length; left--) {
    const bucket = mirrored(kind, mirror.name);
    if (bucket === null) return null;
    // That of another account or domain cannot be asked for by its name.
    const info = mirror.external || left === 0 ? null : await orElsePermission(null, streamInfo(call, mirror.name));
    if (!info?.config.mirror) return kind.prefix(bucket);
    mirror = info.config.mirror;
  }
  return null;
}

/** The bucket of a stream's name; `null` if it is none of this kind. */
function mirrored({ stream }: BucketKind, name: string): string | null {
  const family = stream.slice(0, stream.indexOf("_") + 1);
  return name.startsWith(family) && name.length > family.length ? name.slice(family.length) : null;
}

function isBucket({ subjects, fits = () => true }: BucketKind, config: StreamConfig): boolean {
  const listens = subjects.every((subject) => config.subjects?.includes(subject));
  return listens && (config.retention ?? "limits") === "limits" && fits(config);
}
