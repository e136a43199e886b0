/**
 * A worker in a process of its own. It writes what its handler does into a file, a line each, so that nothing of it is lost when it is killed.
 * Arguments: the server's URL, the queue, a directory, the file's name.
 */
import { openStores } from "../_support/open_stores.ts";

/** How a job behaves. */
export interface Behaviour {
  /** Attempts that fail. */
  fails: number;
  /** Whether the first run never ends; then the worker says so, and waits to be killed. */
  hangs: boolean;
}

const [url, queue, directory, name] = Deno.args;
const file = Deno.openSync(`${directory}/${name}`, { create: true, append: true });
const write = (what: string, id: string) => {
  const now = performance.timeOrigin + performance.now();
  file.writeSync(new TextEncoder().encode(`${now} ${what} ${id}\n`));
};

openStores(url).jobQueue<Behaviour>(queue).consume(async ({ id, data, attempt }) => {
  write("start", id);
  if (data.hangs && isFirst(`${directory}/${id}`)) {
    console.log(id);
    await new Promise(() => {});
  }
  await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 6));
  if (attempt <= data.fails) {
    write("fail", id);
    throw new Error("not yet");
  }
  write("end", id);
}, { concurrency: 3, backoff: [0, 20] });
console.log("working");

/** Whether nobody has made this file. */
function isFirst(path: string): boolean {
  try {
    Deno.writeTextFileSync(path, "", { createNew: true });
    return true;
  } catch {
    return false;
  }
}
