import type { NatsConnection } from "@nats-io/nats-core";

/** Gives memory for exactly as many bytes; `undefined`: new memory. */
export type PlaceData = (size: number) => Uint8Array | undefined;

/** Gives the memory where the payload of a message on a subject is to stay. */
export type PlacePayload = (subject: Uint8Array, size: number) => ReturnType<PlaceData>;

const places = new WeakMap<NatsConnection, Map<number, PlacePayload>>();

/** Lets a connection ask where the large payloads of each of its subscriptions are to stay. Only our own connections do. */
export function asksForPlaces(connection: NatsConnection): Map<number, PlacePayload> {
  const ofSubscriptions = new Map<number, PlacePayload>();
  places.set(connection, ofSubscriptions);
  return ofSubscriptions;
}

/** Sets where the large payloads of a subscription are to stay; `undefined`: in new memory. */
export function placePayloads(connection: NatsConnection, subscription: number, place?: PlacePayload): void {
  if (place) places.get(connection)?.set(subscription, place);
  else places.get(connection)?.delete(subscription);
}
