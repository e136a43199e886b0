import { reservedPorts } from "../../src/testing/_free_ports.ts";

/** Lowest and highest port: below what Linux and macOS give to outgoing connections, so that it stays free while its server is down. */
const LOWEST = 10_240;
const HIGHEST = 32_767;

/** A port of the loopback interface that nobody uses now, and that belongs to no private server, which may be down. */
export function freePort(hostname: "127.0.0.1" | "::1" = "127.0.0.1"): number {
  const reserved = reservedPorts();
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (reserved.has(port)) continue;
    try {
      Deno.listen({ hostname, port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
