import { assertLess } from "@std/assert";
import { startProcess } from "../_support/start_process.ts";
import { ObjectServer } from "./_object_server.ts";

/** How many objects at once, and MiB of each; `deno task bench --only memory` streams 1 GiB in each. */
const OBJECTS = 3;
const SIZE = 80;

Deno.test("ObjectBucket.putStream and getStream pass three large objects at once in less than 200 MiB of memory", async () => {
  await using server = await ObjectServer.start();
  const script = new URL("_stream_memory.ts", import.meta.url);
  await using streaming = startProcess(script, server.server.url, String(OBJECTS), String(SIZE));
  assertLess(Number(await streaming.output()), 200);
});
