import { GuardedDirectory } from "./_guarded_directory.ts";
import { isProgram } from "./_is_program.ts";
import { runToEnd } from "./_run_to_end.ts";
import { SERVER_SOURCES, type ServerSource } from "./_server_sources.ts";

/** How long to wait for another process that installs, in milliseconds. */
const LOCK_TIMEOUT = 600_000;

/** How long to wait before the lock is tried again, in milliseconds. */
const LOCK_INTERVAL = 50;

/** How long an installed program may take to tell its version, in milliseconds. */
const CHECK_TIMEOUT = 10_000;

/** Finds the nats-server that was installed into the cache before; `null` when there is none. */
export async function findInstalledServer(cache: string): Promise<string | null> {
  for (const { file } of SERVER_SOURCES) {
    if (await isProgram(`${cache}/${file}`)) return `${cache}/${file}`;
  }
  return null;
}

/**
 * Installs nats-server into the cache and returns its path. Processes that do so at the same time install it once.
 * @throws {AggregateError} When no way leads there; `errors` has one error for each.
 */
export async function installServer(cache: string, signal?: AbortSignal): Promise<string> {
  await Deno.mkdir(cache, { recursive: true });
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
