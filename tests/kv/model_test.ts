import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";

const key = fc.constantFrom("a", "b.c", "ü *");
const value = fc.string({ maxLength: 5 }).filter((text) => text.isWellFormed());
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom("put", "create"), key, value }),
  // The revision that is there, or one near it.
  fc.record({ kind: fc.constant("update"), key, value, off: fc.constantFrom(0, 0, 1, -1) }),
  fc.record({ kind: fc.constantFrom("delete", "purge", "get", "list"), key }),
);

Deno.test("KvBucket behaves like a map, with and without a cache", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 30 }),
      fc.boolean(),
      fc.constantFrom(1, 5),
      async (steps, cache, history) => {
        const bucket = stores.kvBucket(`model${run++}`, { cache, history, storage: "memory" });
        const model = new Map<string, { value: string; revision: number }>();
        for (const step of steps) {
          const there = model.get(step.key);
          if (step.kind === "put" && "value" in step) {
            model.set(step.key, { value: step.value, revision: (await bucket.put(step.key, step.value))! });
          } else if (step.kind === "create" && "value" in step) {
            const revision = await bucket.create(step.key, step.value);
            assertEquals(revision !== false, there === undefined);
            if (revision) model.set(step.key, { value: step.value, revision });
          } else if (step.kind === "update" && "off" in step) {
            // Of a key without a value nobody knows a revision (a marker has one, too, and may be written over).
            const known = there ? Math.max(1, there.revision + step.off) : 1_000_000;
            const revision = await bucket.update(step.key, step.value, known);
            assertEquals(revision !== false, known === there?.revision);
            if (revision) model.set(step.key, { value: step.value, revision });
          } else if (step.kind === "delete" || step.kind === "purge") {
            assertEquals(await bucket[step.kind](step.key), true);
            model.delete(step.key);
          } else if (step.kind === "get") {
            const entry = await bucket.get(step.key);
            assertEquals(entry && { value: entry.text(), revision: entry.revision }, there ?? null);
          } else {
            const listed = (await Array.fromAsync(bucket.entries())).map((entry) =>
              [entry.key, { value: entry.text(), revision: entry.revision }] as const
            );
            const byRevision = [...model].sort(([, a], [, b]) => a.revision - b.revision);
            assertEquals(listed, byRevision);
          }
        }
        assertEquals((await Array.fromAsync(bucket.keys())).sort(), [...model.keys()].sort());
        assertEquals([...(await bucket.getMany(["a", "b.c", "ü *"]))!.keys()].sort(), [...model.keys()].sort());
        await bucket.destroy();
      },
    ),
    { numRuns: 60 },
  );
});
