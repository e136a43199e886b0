import type { Call } from "../wire/call.ts";
import { LimitedLog } from "../connection/limited_log.ts";
import { delay } from "../delay.ts";
import { orElsePermission } from "../wire/api.ts";
import { namedVersion } from "./format/object_meta.ts";
import type { ObjectStream } from "./_object_stream.ts";
import { messageOf } from "../shown.ts";

/** Least milliseconds before a look, so that one look serves many versions. */
const MIN_DELAY_MS = 100;

/** The delay before the next look, in times of what the last one took: looks cost the server little beside the writes. */
const DELAY_FACTOR = 10;

/** Infos of one request. */
const PAGE_MESSAGES = 1_000;

/** Versions that may wait. */
const MAX_VERSIONS = 100_000;

/** A replaced version, whose chunks can be removed if no info names it. */
export interface ReplacedVersion {
  nuid: string;
  stream: ObjectStream;
  /** Called when no info names it. */
  unnamed: () => void;
  /** Called when that cannot be read now. */
  unknown: () => void;
}

/**
 * Finds the replaced versions that no info of a bucket names any more. Another client may have stored an info that names another object's chunks, or may
 * be renaming an object. All infos must be read for that, so one look serves all versions that wait, and the more infos there are, the rarer the looks.
 */
export class ReplacedVersions {
  #waiting: ReplacedVersion[] = [];
  #looking: Promise<void> | null = null;
  #hurry = new AbortController();
  /** Milliseconds that the last look took. */
  #took = 0;
  #log: LimitedLog | null = null;

  /** Looks soon. */
  add(version: ReplacedVersion): void {
    this.#waiting.push(version);
    if (this.#waiting.length === MAX_VERSIONS) {
      version.stream.context.logger.warn(
        `${version.stream.what} keeps chunks of replaced objects: other clients write faster than the infos that may name them can be read`,
      );
    }
    if (this.#waiting.length > MAX_VERSIONS) this.#waiting.shift();
    this.#looking ??= this.#look();
  }

  /** Looks at once; resolves when nothing waits any more. */
  async finish(): Promise<void> {
    this.#hurry.abort();
    await this.#looking;
    this.#hurry = new AbortController();
  }

  async #look(): Promise<void> {
    while (this.#waiting.length > 0) {
      await delay(Math.max(MIN_DELAY_MS, DELAY_FACTOR * this.#took), { signal: this.#hurry.signal, persistent: false });
      const replaced = this.#waiting.splice(0);
      const since = performance.now();
      const named = await this.#namedBy(replaced);
      this.#took = performance.now() - since;
      for (const { nuid, unnamed, unknown } of replaced) {
        if (named === null) unknown();
        else if (!named.has(nuid)) unnamed();
      }
    }
    this.#looking = null;
  }

  /** Those of the versions that an info names; `null` if the infos cannot be read now, and all where this user may not read them. */
  async #namedBy(replaced: ReplacedVersion[]): Promise<Set<string> | null> {
    const asked = new Set(replaced.map(({ nuid }) => nuid));
    const { stream } = replaced[0];
    try {
      return await namedOf(stream, asked);
    } catch (error) {
      const reason = messageOf(error);
      this.#log ??= new LimitedLog(stream.context.logger);
      this.#log.warnNew(reason, `${stream.what} keeps chunks of replaced objects: ${reason}`);
      return asked;
    }
  }
}

/**
 * Reads all infos, until the leader has no more. A rename moves an info up, beyond what was read before it; a replica that lags behind may have neither
 * that nor the newest ones, and each page may be of another replica.
 */
async function namedOf(stream: ObjectStream, asked: Set<string>): Promise<Set<string> | null> {
  const { connection, timeout } = stream.context;
  const named = new Set<string>();
  let [seq, fromLeader, isDirect] = [1, false, true];
  for (;;) {
    const pageOf = (call: Call) =>
      stream.reader.page(call, { seq, next_by_subj: stream.infoSubjects, batch: PAGE_MESSAGES }, fromLeader);
    const asking = connection.attempt(pageOf, { timeout, persist: true });
    // A user who may not use direct gets may ask the leader.
    const page = fromLeader ? await asking : await orElsePermission(undefined, asking);
    if (page === null) return null;
    if (page === undefined) isDirect = false;
    else if (page.length === 0 && fromLeader) return named;
    for (const message of page ?? []) {
      const nuid = namedVersion(message);
      if (nuid !== undefined && asked.has(nuid)) named.add(nuid);
      seq = message.sequence + 1;
    }
    fromLeader = !isDirect || page?.length === 0;
  }
}
