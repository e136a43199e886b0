/** Lowest and highest port handed out: below what Linux and macOS give to outgoing connections, so a port stays free while its server is down. */
const LOWEST = 10_240;
const HIGHEST = 32_767;

/** Finds `count` different TCP ports of 127.0.0.1 on which nobody listens right now. */
export function freePorts(count: number): number[] {
  const listeners: Deno.TcpListener[] = [];
  try {
    for (let tries = 0; listeners.length < count; tries++) {
      const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
      try {
        listeners.push(Deno.listen({ hostname: "127.0.0.1", port }));
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse) || tries >= 1000) throw error;
      }
    }
    return listeners.map((listener) => listener.addr.port);
  } finally {
    for (const listener of listeners) listener.close();
  }
}
