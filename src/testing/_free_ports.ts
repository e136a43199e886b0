import { CONFIG_FILE, SERVER_DIRECTORY, temporaryDirectory } from "./_temporary_directory.ts";

/** Lowest and highest port handed out: below what Linux and macOS give to outgoing connections, so a port stays free while its server is down. */
const LOWEST = 10_240;
const HIGHEST = 32_767;

/** Attempts of {@linkcode withFreePorts}. */
const ATTEMPTS = 3;

/** Gives `use` so many free TCP ports of 127.0.0.1, and others when one of them was taken meanwhile. */
export async function withFreePorts<T>(count: number, use: (ports: number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await use(freePorts(count));
    } catch (error) {
      const taken = error instanceof Error && error.message.includes("address already in use");
      if (!taken || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Finds different ports that are free right now, and belong to no other private server, which may be down. */
function freePorts(count: number): number[] {
  const reserved = reservedPorts();
  const listeners: Deno.TcpListener[] = [];
  try {
    for (let attempts = 0; listeners.length < count; attempts++) {
      const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
      if (reserved.has(port)) continue;
      try {
        listeners.push(Deno.listen({ hostname: "127.0.0.1", port }));
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse) || attempts >= 1000) throw error;
      }
    }
    return listeners.map((listener) => listener.addr.port);
  } finally {
    for (const listener of listeners) listener.close();
  }
}

/** The ports of the private servers of all processes: those that do not run, too. */
export function reservedPorts(): Set<number> {
  const ports = new Set<number>();
  const directory = temporaryDirectory();
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (!isDirectory || !name.startsWith(SERVER_DIRECTORY)) continue;
    for (const [, port] of configOf(`${directory}/${name}`).matchAll(/127\.0\.0\.1:(\d+)/g)) ports.add(Number(port));
  }
  return ports;
}

/** The configuration in a directory that anybody may have made; empty where there is none that can be read. */
function configOf(directory: string): string {
  const path = `${directory}/${CONFIG_FILE}`;
  try {
    // The read of a pipe would not return.
    return Deno.statSync(path).isFile ? Deno.readTextFileSync(path) : "";
  } catch {
    // Not written yet, gone by now, or another user's.
    return "";
  }
}
