import type { JetStreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { nanos, type NatsConnection } from "@nats-io/nats-core";
import { Objm } from "@nats-io/obj";
import { connect } from "@nats-io/transport-node";
import { asTexts, type ObjectPeer, removeConsumers } from "./nats_io_peer.ts";
import type { StorePeer } from "./_store_peer.ts";

const PEER = "bucket opened at every call";

/** Connects the official client with its defaults, as services do. */
export function connectToday(url: string): Promise<NatsConnection> {
  return connect({ servers: url });
}

/** The few lines that services have for values. */
export function todaysKv(nc: NatsConnection): StorePeer<string, string | null> {
  return {
    peer: PEER,
    write: async (key, value) => {
      const bucket = await new Kvm(nc).create("today", { ttl: 86_400_000 });
      return await bucket.put(key, value);
    },
    read: async (key) => {
      const bucket = await new Kvm(nc).open("today");
      return (await bucket.get(key))?.string() ?? null;
    },
    valueOf: (found) => found!,
  };
}

/** The few lines that services have for health checks. */
export function todaysHealth(nc: NatsConnection, jsm: JetStreamManager): StorePeer<string> {
  return asTexts(todaysObjects(nc, jsm));
}

/** The same lines, for bytes. */
export function todaysObjects(nc: NatsConnection, jsm: JetStreamManager): ObjectPeer {
  return {
    peer: PEER,
    write: async (name, bytes) => {
      const bucket = await new Objm(nc).create("today", { ttl: nanos(600_000) });
      return await bucket.putBlob({ name }, bytes);
    },
    read: async (name) => {
      const bucket = await new Objm(nc).open("today");
      return await bucket.getBlob(name);
    },
    valueOf: (found) => found!,
    spare: { inFlight: 64, calls: 900 },
    tidy: () => removeConsumers(jsm, "OBJ_today"),
  };
}
