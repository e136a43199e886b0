import { jetstream, type JetStreamClient, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import type { Redis } from "ioredis";
import type { JetStreamStores } from "../../src/stores.ts";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { findNatsCli, NatsBench } from "./nats_cli_peer.ts";
import { connectNatsIo } from "./nats_io_peer.ts";
import { connectRedis } from "./redis_peer.ts";
import { startRedis } from "./redis_server.ts";
import { connectStores } from "./supercheck_peer.ts";
import { connectToday } from "./today_peer.ts";

/** The private servers of one part, and a connection of each client. */
export interface Stage extends AsyncDisposable {
  server: NatsServer;
  /** This library. */
  stores: JetStreamStores;
  /** The official client as it is fastest. */
  nc: NatsConnection;
  js: JetStreamClient;
  jsm: JetStreamManager;
  /** The official client as services use it. */
  today: NatsConnection;
  /** The official Go program; `null`: not on this machine. */
  natsBench: NatsBench | null;
  /** `null`: not on this machine. */
  redis: { client: Redis; port: number } | null;
}

/** Starts the servers, and connects. */
export async function openStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const stores = stack.use(await connectStores(server.url));
  const nc = stack.adopt(await connectNatsIo(server.url), (nc) => nc.close());
  const today = stack.adopt(await connectToday(server.url), (nc) => nc.close());
  const redisServer = await startRedis();
  if (redisServer) stack.use(redisServer);
  const redis = redisServer &&
    { client: stack.adopt(connectRedis(redisServer.port), (client) => client.disconnect()), port: redisServer.port };
  const cli = findNatsCli();
  const kept = stack.move();
  return {
    server,
    stores,
    nc,
    js: jetstream(nc),
    jsm: await jetstreamManager(nc),
    today,
    natsBench: cli === null ? null : new NatsBench(cli, server.url),
    redis,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
