import { findProgram, PrivateProgram } from "./_private_program.ts";

/** How Redis writes to disk here. */
export const REDIS_DURABILITY = "append-only file, fsync every second";

/** Where redis-server is, or `null`. */
export function findRedis(): string | null {
  return findProgram("redis-server");
}

/** Starts a private Redis, or `null` if there is none on this machine. */
export async function startRedis(): Promise<PrivateProgram | null> {
  const program = findRedis();
  return program === null ? null : await PrivateProgram.start({
    program,
    name: "redis",
    signal: "SIGTERM",
    args: (directory, port) => [
      ...["--bind", "127.0.0.1", "--port", String(port), "--dir", directory],
      ...["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"],
    ],
  });
}
