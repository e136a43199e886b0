import { context, diag, metrics, propagation, trace } from "@opentelemetry/api";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { openStores } from "../_support/open_stores.ts";

/** Has every method, and each throws. */
function broken<T>(): T {
  const fail = () => {
    throw new Error("broken");
  };
  return new Proxy({}, { get: (_, name) => name === "then" ? undefined : fail }) as T;
}

/** Has every method, and what each returns is broken, or the method itself. */
function breaking<T>(): T {
  let calls = 0;
  const make = () => {
    if (++calls % 2 === 0) throw new Error("broken");
    return broken();
  };
  return new Proxy({}, { get: () => make }) as T;
}

const failures: unknown[] = [];

Deno.test("a provider that throws changes nothing for calls and jobs, and is reported to OpenTelemetry's diagnostics", async () => {
  const tell = (_message: string, ...more: unknown[]) => void failures.push(...more);
  diag.setLogger({ error: tell, warn: tell, info: tell, debug: tell, verbose: tell });
  trace.setGlobalTracerProvider({ getTracer: () => breaking() });
  metrics.setGlobalMeterProvider({ getMeter: () => breaking() });
  context.setGlobalContextManager(breaking());
  propagation.setGlobalPropagator(broken());

  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("broken");
  let runs = 0;
  await using worker = queue.consume((job) => {
    runs++;
    if (job.data === 2 && job.attempt === 1) throw new Error("again");
  }, { backoff: 1 });
  await using batches = stores.jobQueue<number>("batched").consumeBatches(() => {
    runs++;
  });
  assertEquals((await queue.publish(1))?.duplicate, false);
  assertEquals((await queue.publishMany([{ data: 2 }, { data: 3 }]))?.length, 2);
  await stores.jobQueue("batched").publish(1);
  await stores.storeKV("k", "v");
  assertEquals((await stores.loadKV("k"))?.val, "v");
  await assertRejects(
    () => stores.kvBucket("k", { history: 2, ttl: 1_000 }).put("k", "x".repeat(2_000_000)),
    RangeError,
  );
  await waitUntil(() => worker.status().ended.completed === 3 && batches.status().ended.completed === 1);
  assertEquals(runs, 5);
  assert(failures.length > 10);
  await Promise.all([worker.stop(), batches.stop()]);
});
