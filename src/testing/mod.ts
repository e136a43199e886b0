/**
 * Private nats-servers for tests, on Deno.
 *
 * ```ts
 * import { startNatsServer } from "@supercheck/jetstream/testing";
 *
 * await using server = await startNatsServer();
 * console.log(server.url); // nats://127.0.0.1:…
 * ```
 * @module
 */
export { startNatsServer } from "./start_nats_server.ts";
export type { CommonServerOptions, NatsServerOptions } from "./start_nats_server.ts";
export { startNatsCluster } from "./start_nats_cluster.ts";
export type { NatsClusterOptions } from "./start_nats_cluster.ts";
export type { NatsServer } from "./nats_server.ts";
export type { NatsCluster } from "./nats_cluster.ts";
export type { NatsServerAuth, NatsServerTls } from "./_server_config.ts";
