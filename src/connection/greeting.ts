import { createConnection } from "node:net";
import type { TargetServer } from "./connect_options.ts";

/**
 * Resolves when the server sends its first bytes.
 *
 * `@nats-io/transport-node` leaves its socket open when a server accepts the connection and then says nothing (a stopped process, a
 * half-dead proxy), so one is asked first over a socket that is ours to destroy.
 */
export function greeting(server: TargetServer, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: server.hostname, port: server.port });
    const end = (error?: Error) => {
      clearTimeout(timer);
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    const timer = setTimeout(() => end(new Error(`no answer within ${timeout} ms`)), timeout);
    socket.once("data", () => end());
    socket.once("error", end);
    socket.once("close", () => end(new Error("closed without a greeting")));
  });
}
