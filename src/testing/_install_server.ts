import { createHash } from "node:crypto";
import { GuardedDirectory } from "./_guarded_directory.ts";
import { isProgram } from "./_is_program.ts";
import { requirePrivate } from "./_require_private.ts";
import { runToEnd } from "./_run_to_end.ts";
import { SERVER_SOURCES, type ServerSource } from "./_server_sources.ts";

/** How long to wait for another process that installs, in milliseconds. */
const LOCK_TIMEOUT = 600_000;

/** How long to wait before the lock is tried again, in milliseconds. */
const LOCK_INTERVAL = 50;

/** How long an installed program may take to print its version, in milliseconds. */
const CHECK_TIMEOUT = 10_000;

/** Programs of which the hash was checked by this process, with what shows whether they have changed since. */
const checked: Map<string, string> = new Map();

/**
 * Finds the nats-server that was installed into the cache before.
 *
 * @returns `null` when there is none, or one that is not as it was installed.
 * @throws {Error} When others may have put it there.
 */
export async function findInstalledServer(cache: string): Promise<string | null> {
  for (const { file } of SERVER_SOURCES) {
    if (!await isProgram(`${cache}/${file}`)) continue;
    const program = `${await requirePrivate(cache)}/${file}`;
    if (await isAsInstalled(program)) return program;
  }
  return null;
}

async function isAsInstalled(program: string): Promise<boolean> {
  const { size, mtime, ino } = await Deno.lstat(program);
  const stamp = [size, mtime?.getTime(), ino].join();
  if (checked.get(program) === stamp) return true;
  const recorded = await Deno.readTextFile(hashFile(program)).catch((error) => {
    // It was installed by a version that kept no hash, or not by this library.
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (recorded?.trim() !== await hashOf(program)) return false;
  checked.set(program, stamp);
  return true;
}

/** Where the SHA-256 of an installed program is kept. */
function hashFile(program: string): string {
  return `${program}.sha256`;
}

async function hashOf(program: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(program);
  const buffer = new Uint8Array(1_048_576);
  for (let read = file.readSync(buffer); read !== null; read = file.readSync(buffer)) {
    hash.update(buffer.subarray(0, read));
  }
  return hash.digest("hex");
}

/**
 * Installs nats-server into the cache and returns its path. Processes that do so at the same time install it once.
 * @throws {AggregateError} When no way leads there; `errors` has one error for each.
 */
export async function installServer(directory: string, signal?: AbortSignal): Promise<string> {
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  const cache = await requirePrivate(directory);
  // The system gives the lock of a dead process back.
  using lock = await Deno.open(`${cache}/lock`, { create: true, write: true });
  await acquire(lock, signal);
  const installed = await findInstalledServer(cache);
  if (installed) return installed;
  const failures: Error[] = [];
  for (const source of SERVER_SOURCES) {
    try {
      return await installFrom(source, cache, signal);
    } catch (error) {
      signal?.throwIfAborted();
      failures.push(new Error(`${source.name}: ${reasonOf(error)}`, { cause: error }));
    }
  }
  throw new AggregateError(failures, "Cannot install nats-server");
}

async function installFrom(source: ServerSource, cache: string, signal?: AbortSignal): Promise<string> {
  await using directory = new GuardedDirectory({ prefix: "install-", parent: cache });
  const program = await source.get(directory, signal);
  // It may be built for another machine, or the cache closed to programs: then the next source has its turn.
  await runToEnd(directory, [program, "--version"], { timeout: CHECK_TIMEOUT, signal });
  const target = `${cache}/${source.file}`;
  await Deno.chmod(program, 0o755);
  // The hash first: a program without its own is installed again.
  await Deno.writeTextFile(hashFile(target), `${await hashOf(program)}\n`);
  await Deno.rename(program, target);
  return target;
}

async function acquire(lock: Deno.FsFile, signal?: AbortSignal): Promise<void> {
  const deadline = performance.now() + LOCK_TIMEOUT;
  while (!await lock.tryLock(true)) {
    signal?.throwIfAborted();
    if (performance.now() > deadline) {
      throw new Error(`Another process has been installing nats-server for ${LOCK_TIMEOUT / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_INTERVAL));
  }
}

/** The message of an error with that of its cause, which says more where a download failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
