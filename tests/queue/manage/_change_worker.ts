// A worker in a process of its own. Prints the id and the data of each job as it starts.
import { QueueStores } from "../../_support/queue_stores.ts";

const [url, name, concurrency] = Deno.args;
const stores = new QueueStores(url);
const consumer = stores.jobQueue<string>(name).consume(async ({ id, data }) => {
  console.log(`${id} ${data}`);
  await new Promise((resolve) => setTimeout(resolve, 10));
}, { concurrency: Number(concurrency) });
await consumer.closed;
