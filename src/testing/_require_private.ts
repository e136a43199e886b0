/** Mode bits: the group or others may write; only owners may rename or remove what is in the directory. */
const [WRITABLE, STICKY] = [0o022, 0o1000];

/**
 * Resolves a directory that programs are run from, and checks that no other user can put something there: it belongs to this user or to root, as do
 * the directories around it, and others may not write to any of them, but for those that are sticky (such as `/tmp`).
 *
 * @returns The path without symbolic links.
 * @throws {Error} Naming the directory that is not safe, and what to do.
 */
export async function requirePrivate(directory: string): Promise<string> {
  const path = await Deno.realPath(directory);
  const self = await ownId();
  for (let part = path, isInside = true; part !== ""; part = part.slice(0, part.lastIndexOf("/")), isInside = false) {
    const { uid, mode } = await Deno.stat(part);
    const isOpen = ((mode ?? 0) & WRITABLE) !== 0 && (isInside || ((mode ?? 0) & STICKY) === 0);
    if (isOpen) throw refusal(path, `others may write to ${part}: chmod go-w ${part}`);
    if (uid !== 0 && uid !== self) {
      throw refusal(path, `${part} belongs to another user: set XDG_CACHE_HOME to a directory of your own`);
    }
  }
  return path;
}

function refusal(path: string, reason: string): Error {
  return new Error(`Cannot run a program from ${path} as ${reason}`);
}

/** This user's id as files show it: asking the system would need one more permission. */
async function ownId(): Promise<number | null> {
  const file = await Deno.makeTempFile();
  try {
    return (await Deno.stat(file)).uid;
  } finally {
    await Deno.remove(file);
  }
}
