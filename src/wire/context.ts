import type { Connection } from "../connection/connection.ts";
import type { Logger } from "../connection/logger.ts";
import type { Settings } from "../settings.ts";
import type { KnownStreams } from "./known_revisions.ts";
import type { Session } from "./session.ts";

/** What all handles of one {@linkcode JetStreamStores} share. */
export interface Context {
  readonly connection: Connection<Session>;
  readonly settings: Settings;
  readonly logger: Logger;
  /** Milliseconds that a call may take. */
  readonly timeout: number;
  /** What has to be stopped before the connection is closed: each gets the milliseconds it may take. */
  readonly closers: Set<(deadline: number) => Promise<void>>;
  /** What is known of the revisions in buckets. */
  readonly known: KnownStreams;
  /** Schedules of which a tick runs in this process, whichever handles and consumers their queue has: none runs twice at once here. */
  readonly ticking: Set<string>;
}
