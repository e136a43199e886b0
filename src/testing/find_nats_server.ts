import { checkSignal } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { shownName } from "../shown.ts";
import { isProgram } from "./_is_program.ts";
import { requirePermissions } from "./_require_permissions.ts";
import { SERVER_VERSION } from "./_server_sources.ts";
import { findInstalledServer, installServer } from "./_install_server.ts";

/**
 * Options of {@linkcode findNatsServer}.
 *
 * @category Testing
 */
export interface FindOptions {
  /**
   * Aborting ends a search that has come to installing.
   * @default none
   */
  signal?: AbortSignal;
}

const OPTIONS: OptionNames<FindOptions> = { signal: true };

/**
 * Finds the path of a nats-server program, the first of:
 *
 * 1. `NATS_SERVER` in the environment;
 * 2. `nats-server` on `PATH`;
 * 3. what was installed before, in `supercheck-jetstream` under `XDG_CACHE_HOME` or `~/.cache`, if no other user can write there, and the program
 *    has the hash that it had then;
 * 4. what it then installs there: nats-server 2.15.1 from its release archive, by `pip`, by `go install`, or Debian's version by `apt-get download`.
 *
 * @throws {TypeError} When an option is wrong.
 * @throws {AggregateError} When there is none and none can be installed; the message says what was tried and what to do.
 * @throws {Deno.errors.NotCapable} When a permission is missing.
 * @throws {Error} When `NATS_SERVER` does not name a program, or on Windows.
 *
 * @example Install the program before the tests begin
 * ```ts
 * import { findNatsServer } from "@supercheck/jetstream/testing";
 *
 * console.log(await findNatsServer());
 * ```
 *
 * @category Testing
 */
export async function findNatsServer(options?: FindOptions): Promise<string> {
  const { signal } = checkOptions(options, OPTIONS, "find a nats-server");
  if (signal !== undefined) checkSignal(signal, "find a nats-server");
  signal?.throwIfAborted();
  if (Deno.build.os === "windows") throw new Error("Cannot start a nats-server on Windows: use WSL");
  requirePermissions();
  const named = Deno.env.get("NATS_SERVER");
  if (named) {
    if (await isProgram(named)) return named;
    throw new Error(
      `Cannot use NATS_SERVER as it must be the path of a program: current value is '${shownName(named)}'`,
    );
  }
  const cache = cacheDirectory();
  return await findOnPath() ?? (cache && await findInstalledServer(cache)) ?? await install(cache, signal);
}

async function findOnPath(): Promise<string | null> {
  for (const directory of (Deno.env.get("PATH") ?? "").split(":").filter((part) => part !== "")) {
    if (await isProgram(`${directory}/nats-server`)) return `${directory}/nats-server`;
  }
  return null;
}

function cacheDirectory(): string | null {
  const caches = Deno.env.get("XDG_CACHE_HOME");
  const home = Deno.env.get("HOME");
  // A relative one is to be ignored, says the XDG specification.
  if (caches?.startsWith("/")) return `${caches}/supercheck-jetstream`;
  return home ? `${home}/.cache/supercheck-jetstream` : null;
}

async function install(cache: string | null, signal?: AbortSignal): Promise<string> {
  const errors = [
    new Error("NATS_SERVER: not set"),
    new Error(`PATH: no nats-server in ${Deno.env.get("PATH") || "an empty PATH"}`),
  ];
  if (cache === null) {
    errors.push(new Error("cache: neither XDG_CACHE_HOME nor HOME is set, so nothing can be installed"));
  } else {
    errors.push(new Error(`cache: no nats-server in ${cache} that is as it was installed`));
    try {
      return await installServer(cache, signal);
    } catch (error) {
      signal?.throwIfAborted();
      errors.push(...error instanceof AggregateError ? error.errors : [error]);
    }
  }
  const tried = errors.map((error) => `- ${error.message}`).join("\n");
  const advice = `Put nats-server ${SERVER_VERSION} on PATH, or set NATS_SERVER to its path.`;
  throw new AggregateError(errors, `Cannot find a nats-server, nor install one:\n${tried}\n${advice}`);
}
