import { Redis } from "ioredis";
import { Buffer } from "node:buffer";
import type { StorePeer } from "./_store_peer.ts";

const PEER = "Redis, ioredis";

/** Connects to a Redis on this machine; commands of one turn of the event loop go out together, which is its fastest way. */
export function connectRedis(port: number): Redis {
  return new Redis({ host: "127.0.0.1", port, enableAutoPipelining: true });
}

/** `SET` with an expiry and `GET`, of texts. */
export function redisTexts(redis: Redis, seconds: number): StorePeer<string, string | null> {
  return {
    peer: PEER,
    write: (name, text) => redis.set(name, text, "EX", seconds),
    read: (name) => redis.get(name),
    valueOf: (found) => found!,
  };
}

/** The same of bytes. */
export function redisBytes(redis: Redis, seconds: number): StorePeer<Uint8Array, Uint8Array | null> {
  return {
    peer: PEER,
    write: (name, bytes) => redis.set(name, Buffer.from(bytes.buffer), "EX", seconds),
    read: (name) => redis.getBuffer(name),
    valueOf: (found) => found!,
  };
}
