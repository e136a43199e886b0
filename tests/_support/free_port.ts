/** A port of the loopback interface that nobody uses now. */
export function freePort(hostname: "127.0.0.1" | "::1" = "127.0.0.1"): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return listener.addr.port;
}
