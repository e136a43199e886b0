/**
 * A service as users write it: serves HTTP, and publishes a job for each request. Prints its port. Ends when its standard input does.
 * @module
 */
import { close, connect, publishJob } from "../../mod.ts";

await connect({ connectTimeout: 30_000 });
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) }, async () => {
  const receipt = await publishJob("mails", { to: "ann" }, { id: "mail-1" });
  return Response.json(receipt);
});
await Deno.stdin.read(new Uint8Array(1));
await server.shutdown();
await close();
