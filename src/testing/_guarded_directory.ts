/**
 * Waits until the pipe from its owner closes, then removes the directory and what runs in it.
 *
 * It ignores a terminal's signals, as only the owner's end counts. The directory is renamed before the process id is read from it:
 * from then on nothing can start in it any more (see `START`). `rm` may meet the last writes of what it killed, so it is repeated.
 */
const WATCH = `
trap '' HUP INT TERM
PATH=$PATH:/usr/bin:/bin
while read -r _; do :; done
mv "$0" "$0.gone" || exit
if [ -s "$0.gone/pid" ]; then kill -s KILL "$(cat "$0.gone/pid")"; fi
tries=0
until rm -rf "$0.gone"; do
  if [ "$((tries += 1))" -ge 50 ]; then exit 1; fi
  sleep 0.1
done`;

/** Becomes the program, once its process id is where the watcher finds it. */
const START = `
directory=$1
shift
echo "$$" >"$directory/pid" && exec "$@" >>"$directory/log" 2>&1`;

/** Where a {@linkcode GuardedDirectory} is made. */
export interface GuardedDirectoryOptions {
  /** How its name begins. */
  prefix: string;
  /**
   * The directory around it.
   * @default the system's temporary directory
   */
  parent?: string;
}

/** A program that {@linkcode GuardedDirectory.spawn} started. */
export class GuardedProcess {
  readonly #child: Deno.ChildProcess;
  readonly #exited: Promise<void>;
  #code: number | null = null;

  constructor(child: Deno.ChildProcess, onExit: () => void) {
    this.#child = child;
    // An owner that forgets it shall still be able to end.
    child.unref();
    this.#exited = child.status.then(({ code }) => {
      this.#code = code;
      onExit();
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The exit code; `null` while it runs. */
  get code(): number | null {
    return this.#code;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Settles when the program has ended. */
  async exited(): Promise<void> {
    if (this.#code === null) this.#child.ref();
    await this.#exited;
  }
}

/**
 * A temporary directory with at most one program in it. Both are gone after disposal, and also when the owner ends in any other way,
 * `kill -9` included: a small shell script in a session of its own notices that the pipe from the owner closes.
 */
export class GuardedDirectory implements AsyncDisposable {
  readonly path: string;
  readonly #watcher: Deno.ChildProcess;
  #process: GuardedProcess | null = null;

  constructor({ prefix, parent }: GuardedDirectoryOptions) {
    this.path = Deno.makeTempDirSync({ prefix, dir: parent });
    try {
      this.#watcher = new Deno.Command("sh", {
        args: ["-c", WATCH, this.path],
        stdin: "piped",
        stdout: "null",
        stderr: "null",
        detached: true,
      }).spawn();
    } catch (error) {
      Deno.removeSync(this.path);
      throw error;
    }
    this.#watcher.unref();
  }

  /** Starts a program; its output goes to the end of the log. */
  spawn(program: string, args: string[], options: { cwd?: string; env?: Record<string, string> } = {}): GuardedProcess {
    const child = new Deno.Command("sh", {
      args: ["-c", START, "sh", this.path, program, ...args],
      ...options,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    return this.#process = new GuardedProcess(child, () => this.#forgetProcess());
  }

  /** The number of a process that has ended may belong to another one from then on. */
  #forgetProcess(): void {
    try {
      Deno.writeTextFileSync(`${this.path}/pid`, "");
    } catch (error) {
      // Somebody has removed the directory.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** The last `limit` bytes of what the programs wrote. */
  log(limit: number): string {
    try {
      using file = Deno.openSync(`${this.path}/log`);
      const { size } = file.statSync();
      file.seekSync(Math.max(0, size - limit), Deno.SeekMode.Start);
      const tail = new Uint8Array(Math.min(size, limit));
      return new TextDecoder().decode(tail.subarray(0, file.readSync(tail) ?? 0));
    } catch (error) {
      // Nothing has been started yet.
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  /** Kills the program and removes the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process?.code === null) this.#process.kill("SIGKILL");
    await this.#process?.exited();
    this.#watcher.ref();
    await this.#watcher.stdin.close();
    const { success } = await this.#watcher.status;
    if (!success) throw new Error(`Cannot remove the temporary directory ${this.path}`);
  }
}
