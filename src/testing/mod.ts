/**
 * Private nats-servers for tests: real ones, with JetStream, on 127.0.0.1 only, ready in some 50 ms, gone with their files when the
 * test ends, even if it throws or its process is killed.
 *
 * ```ts
 * import { startNatsServer } from "@supercheck/jetstream/testing";
 *
 * await using server = await startNatsServer();
 * console.log(server.url); // nats://127.0.0.1:<port>
 * ```
 *
 * {@linkcode findNatsServer} says which program runs, and how it is installed where there is none.
 *
 * This part of the library works on Deno only (on Linux and macOS), and needs at least these permissions:
 *
 * ```sh
 * deno test --allow-run=sh --allow-read --allow-write \
 *   --allow-net=127.0.0.1 --allow-env
 * ```
 *
 * Of the environment it reads `NATS_SERVER`, `PATH`, `XDG_CACHE_HOME`, `HOME` and `TMPDIR`. Installing from the release archive also needs
 * `--allow-net` for the hosts of GitHub; without it the other ways are taken.
 * @module
 */
import "./_require_deno.ts";

export { findNatsServer } from "./find_nats_server.ts";
export type { FindOptions } from "./find_nats_server.ts";
export { startNatsServer } from "./start_nats_server.ts";
export type { CommonServerOptions, NatsServerOptions } from "./start_nats_server.ts";
export { startNatsCluster } from "./start_nats_cluster.ts";
export type { NatsClusterOptions } from "./start_nats_cluster.ts";
export type { NatsServer } from "./nats_server.ts";
export type { NatsCluster } from "./nats_cluster.ts";
export type { NatsServerAuth, NatsServerTls } from "./server_config.ts";
