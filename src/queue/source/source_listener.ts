import type { Session } from "../../wire/session.ts";
import type { StartRate } from "../format/start_rate.ts";
import type { Delivery } from "../delivery/delivery.ts";

/** Whether jobs are served: `paused`: the server delivers none until the pause ends. */
export type ServiceState = "serving" | "paused" | "impaired";

/** The worker for which a source brings deliveries. */
export interface SourceListener {
  /** The queue is open over this session. */
  opened(session: Session): void;
  /** A job was delivered: as soon as it was stored (`waited`), or because it was fetched. */
  delivered(delivery: Delivery, waited: boolean): void;
  /** The shortest lease in force, in milliseconds, is known or may have changed. */
  leased(lease: number): void;
  /** The limit of the rate in force over this session is known or may have changed. */
  rateLimited(session: Session, rate: StartRate | null): void;
  /** Whether jobs are served, and why not. */
  serves(state: ServiceState, reason: string | null): void;
  /** The server, or another client, says that the message of this sequence was deleted. */
  deleted(sequence: number): void;
}
