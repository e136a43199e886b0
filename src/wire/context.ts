import type { Connection } from "../connection/connection.ts";
import type { Logger } from "../connection/logger.ts";
import type { Settings } from "../settings.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Session } from "./session.ts";
import type { SharedState } from "./shared_state.ts";

/** Stops something before the connection is closed, within so many milliseconds. */
export type Closer = (deadline: number) => Promise<void>;

/** What all handles of one {@linkcode JetStreamStores} share. */
export interface Context {
  readonly connection: Connection<Session>;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  /** Milliseconds that a call may take. */
  readonly timeout: number;
  readonly closers: Set<Closer>;
  /** What handles of the same stream share. */
  readonly shared: SharedState;
}
