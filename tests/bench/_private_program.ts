import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds that a program may take until it takes connections. */
const START_TIMEOUT = 20_000;

/** Milliseconds that a program may run that is to end by itself. */
const RUN_TIMEOUT = 600_000;

/** Ends the program and removes its directory as soon as the owner's pipe closes, however the owner ends. */
const GUARD = `
trap '' HUP INT TERM
directory=$1 signal=$2
shift 2
"$@" >"$directory/log" 2>&1 &
while read -r _; do :; done
kill -s "$signal" "$!"
wait "$!"
rm -rf "$directory"`;

/** Finds a program in the given directories, then on PATH. */
export function findProgram(name: string, directories: string[] = []): string | null {
  const onPath = (Deno.env.get("PATH") ?? "").split(":").filter((directory) => directory !== "");
  for (const directory of [...directories, ...onPath]) {
    try {
      if (Deno.statSync(`${directory}/${name}`).isFile) return `${directory}/${name}`;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

/** Runs a program to its end; what it wrote to standard output. */
export async function runProgram(program: string, args: string[], user: ProgramUser = {}): Promise<string> {
  const signal = AbortSignal.timeout(RUN_TIMEOUT);
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null", signal, ...user })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`${program} ${args.join(" ")} failed: ${text(stderr).slice(-2000)}`);
  return text(stdout);
}

/** Whose process it is; by default this process's user. */
export interface ProgramUser {
  uid?: number;
  gid?: number;
}

/** How a {@linkcode PrivateProgram} is started. */
export interface PrivateProgramOptions {
  program: string;
  /** A name for its directory. */
  name: string;
  /** Its arguments, by the directory and the port that it gets. */
  args: (directory: string, port: number) => string[];
  /** The signal that ends it. */
  signal: Deno.Signal;
  user?: ProgramUser;
  /** What must happen in the directory before it starts. */
  prepare?: (directory: string) => Promise<unknown>;
}

/** A server on a free port of 127.0.0.1 with a temporary directory; both are gone after disposal, and when this process ends in any other way. */
export class PrivateProgram implements AsyncDisposable {
  readonly port: number;
  readonly #guard: Deno.ChildProcess;

  private constructor(guard: Deno.ChildProcess, port: number) {
    this.#guard = guard;
    this.port = port;
  }

  /** Starts it, and waits until it takes connections. */
  static async start(options: PrivateProgramOptions): Promise<PrivateProgram> {
    const { program, name, args, signal, user = {}, prepare } = options;
    const directory = Deno.makeTempDirSync({ prefix: `bench-${name}-` });
    if (user.uid !== undefined) Deno.chownSync(directory, user.uid, user.gid ?? null);
    await prepare?.(directory);
    const port = freePort();
    const guard = new Deno.Command("sh", {
      args: ["-c", GUARD, "sh", directory, signal.slice("SIG".length), program, ...args(directory, port)],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      detached: true,
      ...user,
    }).spawn();
    const started = new PrivateProgram(guard, port);
    const end = performance.now() + START_TIMEOUT;
    while (!await takesConnections(port)) {
      if (performance.now() > end) {
        const log = Deno.readTextFileSync(`${directory}/log`).slice(-2000);
        await started[Symbol.asyncDispose]();
        throw new Error(`${program} did not start within ${START_TIMEOUT} ms:\n${log}`);
      }
      await delay(20);
    }
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guard.stdin.close();
    await this.#guard.status;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function takesConnections(port: number): Promise<boolean> {
  try {
    using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}
