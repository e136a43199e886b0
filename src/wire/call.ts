import { Call as ConnectionCall } from "../connection/call.ts";
import type { Session } from "./session.ts";

/** One attempt of a call over a session of the wire layer. */
export type Call = ConnectionCall<Session>;

/** A call that begins now, for work in the background: `ms` milliseconds from now it must have settled. */
export function callWithin(session: Session, ms: number): Call {
  return new ConnectionCall(session, performance.now() + ms);
}
