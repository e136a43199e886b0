import { checkString, checkText, checkWhole } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { findNatsServer } from "./find_nats_server.ts";
import { NatsCluster } from "./nats_cluster.ts";
import { checkCommonOptions, COMMON_OPTIONS, type CommonServerOptions } from "./start_nats_server.ts";

/**
 * Options of {@linkcode startNatsCluster}.
 *
 * @category Testing
 */
export interface NatsClusterOptions extends CommonServerOptions {
  /**
   * How many servers, at least 2.
   * @default 3
   */
  servers?: number;
  /**
   * Lines for the `jetstream` block of each server's configuration, e.g. `"sync_interval: always"`.
   * @default none
   */
  jetstream?: string;
  /**
   * The cluster's name.
   * @default a unique one
   */
  name?: string;
}

const OPTIONS: OptionNames<NatsClusterOptions> = { ...COMMON_OPTIONS, servers: true, jetstream: true, name: true };

const DOING = "start the cluster";

/**
 * Starts a private cluster of nats-servers with JetStream, as {@linkcode startNatsServer} starts one server. When the promise resolves
 * the cluster has a leader and takes streams with replicas on all servers.
 *
 * @example
 * ```ts
 * import { startNatsCluster } from "@supercheck/jetstream/testing";
 *
 * await using cluster = await startNatsCluster({ servers: 3 });
 * console.log(cluster.urls, (await cluster.leader())?.name);
 * ```
 *
 * @throws {TypeError | RangeError} When an option is wrong.
 * @throws {AggregateError} When there is no nats-server and none can be installed.
 * @throws {Deno.errors.NotCapable} When a permission is missing.
 * @throws {Error} When the servers do not start, or elect no leader in time; the message carries what they logged.
 *
 * @category Testing
 */
export async function startNatsCluster(given?: NatsClusterOptions): Promise<NatsCluster> {
  const options = checkOptions(given, OPTIONS, DOING);
  const { servers = 3, name = `test-${crypto.randomUUID()}`, jetstream = "" } = options;
  const { storeDir, config = "", auth, tls, timeout = 60_000, signal } = options;
  checkWhole(servers, DOING, "servers", 2);
  checkText(name, DOING, "name");
  checkString(jetstream, DOING, "jetstream");
  checkCommonOptions(options, DOING);
  const program = await findNatsServer({ signal });
  return await NatsCluster.start({
    program,
    servers,
    name,
    storeDir,
    jetstream,
    auth,
    tls,
    extra: config,
    timeout,
    signal,
  });
}
