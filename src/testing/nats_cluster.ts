import { withFreePorts } from "./_free_ports.ts";
import { NatsServer, type NatsServerSetup } from "./nats_server.ts";

/** How long to wait before a cluster that is not ready is asked again, in milliseconds. */
const READY_INTERVAL_MS = 50;

/**
 * How long to wait for the first leader, in milliseconds. New servers elect one within a second, except when two of them request the
 * votes at the same moment (1 start in 25 on an idle machine): then they wait for 4 to 9 s, and to start again is quicker.
 */
const FIRST_ELECTION = 2_000;

/** What the servers of a {@linkcode NatsCluster} are made of. */
export interface NatsClusterSetup extends Omit<NatsServerSetup, "port" | "monitorPort" | "websocketPort" | "cluster"> {
  /** How many servers. */
  servers: number;
}

/** What `/jsz` reports about the group that leads a cluster. */
interface MetaGroup {
  leader?: string;
  cluster_size: number;
  replicas?: { name: string; current: boolean }[];
}

/**
 * A private cluster of nats-servers, made by {@linkcode startNatsCluster}.
 *
 * @example Lose a server
 * ```ts
 * import { startNatsCluster } from "@supercheck/jetstream/testing";
 *
 * await using cluster = await startNatsCluster();
 * await cluster.servers[0].kill();
 * console.log(cluster.servers.map(({ running }) => running));
 * ```
 *
 * @category Testing
 */
export class NatsCluster implements AsyncDisposable {
  /** The cluster's name; the servers are called `<name>-1`, `<name>-2`, … */
  readonly name: string;
  /** Its servers. */
  readonly servers: readonly NatsServer[];
  readonly #timeout: number;
  readonly #signal: AbortSignal | undefined;

  private constructor(servers: readonly NatsServer[], { name, timeout, signal }: NatsClusterSetup) {
    this.name = name;
    this.servers = servers;
    this.#timeout = timeout;
    this.#signal = signal;
  }

  /**
   * Starts the programs and waits until they lead the cluster: what {@linkcode startNatsCluster} is made of.
   * @ignore
   */
  static async start(setup: NatsClusterSetup): Promise<NatsCluster> {
    const deadline = performance.now() + setup.timeout;
    // Servers that find a store do not elect quickly anyway. The doubling is for slow machines.
    for (let patience = setup.storeDir === undefined ? FIRST_ELECTION : Infinity;; patience *= 2) {
      const cluster = new NatsCluster(await startServers(setup), setup);
      try {
        await cluster.#ready(Math.min(deadline, performance.now() + patience));
        return cluster;
      } catch (error) {
        await cluster[Symbol.asyncDispose]();
        if (setup.signal?.aborted || performance.now() >= deadline) throw error;
      }
    }
  }

  /** The URLs of the servers, also of those that do not run. */
  get urls(): string[] {
    return this.servers.map((server) => server.url);
  }

  /** The server that leads the cluster: creates and places streams and consumers. `null` while there is none. */
  async leader(): Promise<NatsServer | null> {
    return (await this.#lead())?.leader ?? null;
  }

  /**
   * Waits until JetStream answers: a leader is elected, all running servers follow it, and it sees them up to date. A cluster has this
   * behind it when it is started; ask again after a server was killed or restarted.
   *
   * @throws {Error} When it is not so within the `timeout` of the start.
   */
  async ready(): Promise<void> {
    await this.#ready(performance.now() + this.#timeout);
  }

  /** Kills the servers and removes their files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }

  async #ready(deadline: number): Promise<void> {
    while (!await this.#isReady()) {
      this.#signal?.throwIfAborted();
      if (performance.now() >= deadline) {
        const logs = this.servers.map((server) => `${server.name}:\n${server.logs()}`).join("\n");
        throw new Error(`The cluster of nats-servers was not ready in time (${this.#timeout} ms):\n${logs}`);
      }
      await new Promise((resolve) => setTimeout(resolve, READY_INTERVAL_MS));
    }
  }

  async #isReady(): Promise<boolean> {
    const running = this.servers.filter((server) => server.running);
    const health = await Promise.all(running.map((server) => server.monitor("/healthz")));
    if (health.some((answer) => answer?.status !== "ok")) return false;
    const lead = await this.#lead();
    const current = lead?.meta.replicas?.filter((replica) => replica.current).map((replica) => replica.name);
    return lead !== null && lead.meta.cluster_size === this.servers.length &&
      running.every((server) => server === lead.leader || current?.includes(server.name));
  }

  async #lead(): Promise<{ leader: NatsServer; meta: MetaGroup } | null> {
    for (const leader of this.servers) {
      const meta = (await leader.monitor("/jsz"))?.meta_cluster as MetaGroup | undefined;
      if (meta?.leader === leader.name) return { leader, meta };
    }
    return null;
  }
}

/** One after the other: a server that finds no other one retries only a second later, which is late for the first election. */
async function startServers(setup: NatsClusterSetup): Promise<NatsServer[]> {
  const { servers: size, name, storeDir } = setup;
  return await withFreePorts(3 * size, async (ports) => {
    const routes = ports.slice(0, size);
    await using stack = new AsyncDisposableStack();
    const servers: NatsServer[] = [];
    for (const [i, port] of routes.entries()) {
      const server = await NatsServer.start({
        ...setup,
        name: `${name}-${i + 1}`,
        port: ports[size + i],
        monitorPort: ports[2 * size + i],
        storeDir: storeDir === undefined ? undefined : `${storeDir}/${name}-${i + 1}`,
        cluster: { name, port, routes },
      });
      servers.push(stack.use(server));
    }
    stack.move();
    return servers;
  });
}
