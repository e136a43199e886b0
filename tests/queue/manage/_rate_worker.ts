// A worker in a process of its own. Prints a line when it is served, and one for each run that starts: the job's id, and when, in milliseconds since 1970.
import { QueueStores } from "../../_support/queue_stores.ts";

const [url, name] = Deno.args;
const stores = new QueueStores(url);
const lines: string[] = [];
const consumer = stores.jobQueue(name).consume((job) => {
  lines.push(`${job.id} ${performance.timeOrigin + performance.now()}`);
}, { concurrency: 10 });
setInterval(() => {
  if (lines.length > 0) console.log(lines.splice(0).join("\n"));
}, 20);
while (consumer.status().state !== "serving") await new Promise((resolve) => setTimeout(resolve, 5));
console.log("serving");
