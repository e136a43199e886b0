/**
 * A web page over queues and buckets, as one fetch handler: for `Deno.serve`, Hono, Oak, Fresh. No build step, no assets from elsewhere.
 *
 * @example Serve it on loopback
 * ```ts
 * import { dashboard } from "@supercheck/jetstream/dashboard";
 *
 * const handler = dashboard({ readOnly: true });
 * const server = Deno.serve({ port: 0, hostname: "127.0.0.1" }, handler);
 * await server.shutdown();
 * ```
 * @module
 */
export { dashboard } from "./dashboard.ts";
export type { DashboardOptions } from "./dashboard.ts";
