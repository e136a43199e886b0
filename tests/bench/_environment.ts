import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import config from "../../deno.json" with { type: "json" };
import type { BenchOptions } from "./_options.ts";
import { findNatsCli } from "./nats_cli_peer.ts";
import { findPostgres, POSTGRES_DURABILITY } from "./postgres_server.ts";
import { findRedis, REDIS_DURABILITY } from "./redis_server.ts";
import { runProgram } from "./_private_program.ts";
import { findNatsServer } from "../../src/testing/mod.ts";

/** What ran, where, when and how. */
export type Environment = Record<string, string>;

/** Looks at the machine and at what is on it. */
export async function environment(options: BenchOptions): Promise<Environment> {
  const { version } = config;
  const versions = await lockedVersions();
  const peers = ["nats-core", "transport-node", "kv", "obj", "jetstream"] as const;
  return {
    date: new Date().toISOString(),
    machine: `${availableParallelism()} cores of ${cpus()[0]?.model ?? "an unknown kind"}, ${
      Math.round(totalmem() / 2 ** 30)
    } GiB, ${type()} ${release()}; load before: ${loadavg().map((load) => load.toFixed(1)).join(" ")}`,
    run: `${
      options.quick ? "quick, figures mean little; " : ""
    }1 warm-up and ${options.rounds} rounds, ${options.sampleTime} ms a sample; medians`,
    Deno: `${Deno.version.deno}, V8 ${Deno.version.v8}; one process for all clients, one peer at a time`,
    "this library": version,
    "nats-server":
      `${await natsServerVersion()}; file storage, one replica, acknowledges before it syncs (every 2 minutes)`,
    "official clients": `${
      peers.map((name) => `${name} ${versions(`@nats-io/${name}`)}`).join(", ")
    }; noAsyncTraces: true`,
    "nats bench": await versionBy(findNatsCli(), ["--version"], /v?([\d.]+)/),
    Redis: await versionBy(
      findRedis(),
      ["--version"],
      /v=([\d.]+)/,
      (found) => `${found}, ${REDIS_DURABILITY}; ioredis ${versions("ioredis")}, BullMQ ${versions("bullmq")}`,
    ),
    PostgreSQL: await versionBy(
      findPostgres(),
      ["--version"],
      /([\d.]+)/,
      (found) => `${found}, ${POSTGRES_DURABILITY}; pg-boss ${versions("pg-boss")}`,
    ),
  };
}

async function natsServerVersion(): Promise<string> {
  return await versionBy(await findNatsServer(), ["--version"], /v([\d.]+)/);
}

/** The versions of packages, as the lock file has them. */
async function lockedVersions(): Promise<(name: string) => string> {
  const { specifiers } = JSON.parse(await Deno.readTextFile(new URL("../../deno.lock", import.meta.url)));
  return (name) => {
    const specifier = Object.keys(specifiers).find((known) => known.startsWith(`npm:${name}@`));
    return specifier?.slice(specifier.lastIndexOf("@") + 1) ?? "of an unknown version";
  };
}

async function versionBy(
  program: string | null,
  args: string[],
  pattern: RegExp,
  describe: (version: string) => string = (version) => version,
): Promise<string> {
  if (program === null) return "not on this machine";
  return describe(pattern.exec(await runProgram(program, args))?.[1] ?? "of an unknown version");
}
