import { Connection } from "../../src/connection/connection.ts";
import type { ConnectOptions } from "../../src/connection/connect_options.ts";
import { Settings } from "../../src/settings.ts";
import { Session } from "../../src/wire/session.ts";
import { CollectedLog } from "./collected_log.ts";
import { TIMEOUT_MS } from "./open_stores.ts";

/** A session with the connection that it belongs to, closed at disposal. */
export interface OpenSession extends AsyncDisposable {
  readonly session: Session;
  readonly connection: Connection<Session>;
}

/** Connects and gives the session. */
export async function openSession(options: ConnectOptions): Promise<OpenSession> {
  const settings = new Settings(() => undefined);
  const logger = new CollectedLog();
  const connection = new Connection(
    settings,
    logger,
    { connectTimeout: TIMEOUT_MS, ...options },
    (nc) => new Session(nc, logger),
  );
  const session = await connection.attempt(({ session }) => Promise.resolve(session), { timeout: TIMEOUT_MS });
  if (!session) throw new Error("There is no connection");
  return { session, connection, [Symbol.asyncDispose]: () => connection.close(1_000) };
}

/** A moment of `performance.now()` in so many milliseconds. */
export function within(ms: number): number {
  return performance.now() + ms;
}
