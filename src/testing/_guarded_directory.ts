/**
 * Waits until the pipe to its owner closes, then removes the directory and whatever runs in it.
 *
 * Signals of a terminal are ignored, as the owner decides. The directory is renamed before the process id is read from it: from
 * then on nothing can start in it any more (see `START`). `rm` may meet the last writes of the process it killed, so it may try again.
 */
const WATCH = `
trap '' HUP INT TERM
while read -r _; do :; done
mv "$0" "$0.gone" || exit
for file in "$0.gone"/*.pid; do
  [ -s "$file" ] && kill -s KILL "$(cat "$file")" 2>/dev/null
done
tries=0
until rm -rf "$0.gone"; do
  [ "$((tries += 1))" -lt 50 ] || exit
  sleep 0.1
done`;

/** Becomes the program, after its process id is where the watcher finds it. */
const START = `echo "$$" >"$0/main.pid" && exec "$@" >>"$0/log" 2>&1`;

/** What {@linkcode GuardedDirectory.spawn} started. */
export interface GuardedProcess {
  pid: number;
  /** The exit code, once it has ended; `null` while it runs. */
  code: number | null;
  /** Settles when the process has ended. */
  exited: Promise<void>;
  kill(signal: Deno.Signal): void;
}

/**
 * A temporary directory with at most one process in it. Both are gone after disposal, and also when the owner ends in any other
 * way, `kill -9` included: a tiny shell script in a session of its own notices that the pipe from the owner closes.
 */
export class GuardedDirectory implements AsyncDisposable {
  readonly path: string;
  readonly #watcher: Deno.ChildProcess;
  #process: GuardedProcess | null = null;

  constructor(prefix: string) {
    this.path = Deno.makeTempDirSync({ prefix });
    this.#watcher = new Deno.Command("sh", {
      args: ["-c", WATCH, this.path],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#watcher.unref();
  }

  /** Starts a program whose output goes to the file `log`. */
  spawn(program: string, args: string[]): GuardedProcess {
    const child = new Deno.Command("sh", {
      args: ["-c", START, this.path, program, ...args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const process: GuardedProcess = {
      pid: child.pid,
      code: null,
      exited: child.status.then(({ code }) => {
        process.code = code;
        // The number may soon belong to somebody else.
        Deno.truncateSync(`${this.path}/main.pid`);
      }),
      kill: (signal) => child.kill(signal),
    };
    return this.#process = process;
  }

  /** Kills what runs in the directory and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process?.code === null) this.#process.kill("SIGKILL");
    await this.#process?.exited;
    this.#watcher.ref();
    await this.#watcher.stdin.close();
    const { success } = await this.#watcher.status;
    if (!success) throw new Error(`Cannot remove the temporary directory ${this.path}`);
  }
}
