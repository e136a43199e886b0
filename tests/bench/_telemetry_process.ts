/**
 * Makes calls in a process of its own, since a telemetry provider holds for the whole process.
 *
 * Arguments: which call, the server's URL, milliseconds, and `sdk` for the provider of OpenTelemetry's SDK. Prints the microseconds of CPU that a call
 * takes in this process, all of its threads included: on a shared machine they say more than the clock.
 * @module
 */
import { context, metrics, propagation, trace } from "@opentelemetry/api";
import {
  AsyncLocalStorageContextManager,
  BasicTracerProvider,
  MeterProvider,
  W3CTraceContextPropagator,
} from "@opentelemetry/sdk";
import process from "node:process";
import type { JetStreamStores } from "../../src/stores.ts";
import { sampleThroughput, textOf } from "./_sampling.ts";
import { confirmed } from "./_store_peer.ts";
import { connectStores } from "./supercheck_peer.ts";

/** What is called. */
export type TelemetryCall = "storeKV" | "publishJob" | "consumeJobs";

const IN_FLIGHT = 256;
const CONCURRENCY = 100;
const QUEUE = "telemetry";
const data = { text: textOf(200) };

/** Registers an SDK that makes all spans and metrics, and drops them: what exporting costs is another question. */
function registerSdk(): void {
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [] }));
  metrics.setGlobalMeterProvider(new MeterProvider());
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
}

/** Microseconds of CPU that this process has used. */
function usedTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function timed(calls: () => Promise<number>): Promise<number> {
  const before = usedTime();
  const count = await calls();
  return (usedTime() - before) / count;
}

/** Calls for so many milliseconds; returns how often. */
async function call(stores: JetStreamStores, name: TelemetryCall, time: number): Promise<number> {
  let count = 0;
  const once = (index: number) => {
    count++;
    return name === "storeKV" ? stores.storeKV(`key.${index % 1_000}`, data.text) : stores.publishJob(QUEUE, data);
  };
  await sampleThroughput(once, IN_FLIGHT, { time });
  return count;
}

/** Works off as many jobs as are published in so many milliseconds; returns their number. */
async function consume(stores: JetStreamStores, jobs: number): Promise<number> {
  const all = Promise.withResolvers<void>();
  let started = 0;
  const worker = confirmed(
    await stores.consumeJobs(QUEUE, () => {
      if (++started === jobs) all.resolve();
    }, { concurrency: CONCURRENCY }),
  );
  await all.promise;
  await worker.stop();
  return jobs;
}

async function measure(url: string, name: TelemetryCall, time: number): Promise<number> {
  await using stores = await connectStores(url);
  const queue = stores.jobQueue(QUEUE);
  confirmed(await queue.open());
  if (name !== "consumeJobs") {
    await call(stores, name, time);
    return await timed(() => call(stores, name, time));
  }
  await consume(stores, await call(stores, "publishJob", time));
  const jobs = await call(stores, "publishJob", time);
  return await timed(() => consume(stores, jobs));
}

if (import.meta.main) {
  const [name, url, time, provider] = Deno.args;
  if (provider === "sdk") registerSdk();
  console.log(await measure(url, name as TelemetryCall, Number(time)));
  Deno.exit();
}
