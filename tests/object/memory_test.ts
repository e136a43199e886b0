import { assertLess } from "@std/assert";
import { startProcess } from "../_support/start_process.ts";
import { ObjectServer } from "./_object_server.ts";

/** MiB of the object: few in each run of the tests, 1 GiB by `deno task test:race`. */
const SIZE = Number(Deno.env.get("STREAM_MIB") ?? 160);

Deno.test("ObjectBucket.putStream and getStream pass a large object in less than 200 MiB of memory", async () => {
  await using server = await ObjectServer.start();
  await using streaming = startProcess(new URL("_stream_memory.ts", import.meta.url), server.server.url, String(SIZE));
  const peak = Number(await streaming.output());
  console.log(`${SIZE} MiB: at most ${peak} MiB`);
  assertLess(peak, 200);
});
