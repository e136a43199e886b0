import type { JetStreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { nanos, type NatsConnection } from "@nats-io/nats-core";
import { Objm } from "@nats-io/obj";
import { connect } from "@nats-io/transport-node";
import { type ObjectPeer, removeConsumers } from "./nats_io_peer.ts";
import type { StorePeer } from "./_store_peer.ts";

/** Connects the official client with its defaults, as services do. */
export function connectToday(url: string): Promise<NatsConnection> {
  return connect({ servers: url });
}

/** The few lines that services have for values: at every call they open the bucket, or make it if it is not there (`create` does both). */
export function todaysKv(nc: NatsConnection, way: "create" | "open"): StorePeer<string, string | null> {
  const bucket = () => way === "create" ? new Kvm(nc).create("today", { ttl: 86_400_000 }) : new Kvm(nc).open("today");
  return {
    peer: `Kvm.${way} at every call`,
    write: async (key, value) => await (await bucket()).put(key, value),
    read: async (key) => (await (await bucket()).get(key))?.string() ?? null,
    valueOf: (found) => found!,
  };
}

/** The few lines that services have for objects; opening asks whether the bucket is there. */
export async function todaysObjects(nc: NatsConnection, jsm: JetStreamManager): Promise<ObjectPeer> {
  await new Objm(nc).create("today", { ttl: nanos(600_000) });
  return {
    peer: "Objm.open at every call",
    write: async (name, bytes) => await (await new Objm(nc).open("today")).putBlob({ name }, bytes),
    read: async (name) => await (await new Objm(nc).open("today")).getBlob(name),
    valueOf: (found) => found!,
    spare: { inFlight: 64, calls: 900 },
    tidy: () => removeConsumers(jsm, "OBJ_today"),
  };
}
