// A worker in a process of its own. Prints a line when it is served, and one for each run that starts, and for each whose signal aborts.
import { QueueStores } from "../_support/queue_stores.ts";

const [url, name, behaviour, options = "{}"] = Deno.args;
const stores = new QueueStores(url);
const consumer = stores.jobQueue(name).consume(async (job) => {
  job.signal.addEventListener("abort", () => console.log(`aborted ${job.id}`));
  console.log(`started ${job.id} ${job.attempt} ${job.deliveries}`);
  if (behaviour === "dies") Deno.kill(Deno.pid, "SIGKILL");
  if (behaviour === "blocks" && job.data === behaviour) {
    // For longer than the server's silence takes to be noticed, and nothing else goes on in this process.
    for (const end = performance.now() + 6_000; performance.now() < end;);
  }
  if (behaviour === "hangs") {
    await new Promise<void>((resolve) => job.signal.addEventListener("abort", () => resolve()));
  }
}, JSON.parse(options));
while (consumer.status().state !== "serving") await new Promise((resolve) => setTimeout(resolve, 5));
console.log("serving");
