import type { KvBucket } from "../../mod.ts";
import { random } from "../ledger/plan.ts";
import type { ClientContext } from "./_client_context.ts";

/** Keys that each client writes. */
const KEYS = 6;

/** Milliseconds between two steps. */
const PAUSE = 30;

/** The key of a client's value. */
export function valueKey(client: number, index: number): string {
  return `value.${client}.${index}`;
}

/** Writes and deletes values of its own, and reads those of all clients. */
export async function useValues(context: ClientContext, values: KvBucket, draw: (what: number) => number) {
  const versions = new Map<string, number>();
  const cached = context.stores.kvBucket("values", { cache: true });
  await context.repeat(PAUSE, async (step) => {
    const of = (what: number) => random(context.seed, context.number, step, what, Math.floor(draw(1) * 1e6));
    const index = Math.floor(of(1) * KEYS);
    // A mirror has to show at once what its own handle wrote.
    const writer = index % 2 === 0 ? values : cached;
    if (of(2) < 0.5) {
      const owner = Math.floor(of(3) * context.clients);
      const mirrored = of(5) < 0.3;
      const own = owner === context.number && (!mirrored || writer === cached);
      const strict = own || (!mirrored && context.replicas === 1);
      return await readValue(context, mirrored ? cached : values, valueKey(owner, index), strict);
    }
    const key = valueKey(context.number, index);
    const version = (versions.get(key) ?? 0) + 1;
    versions.set(key, version);
    const deletes = of(4) < 0.1;
    const call = deletes ? "delete value" : "put value";
    await context.write(
      { call, kind: "value", key, version, deletes },
      () => deletes ? writer.delete(key) : writer.put(key, `${version}`),
    );
  });
}

async function readValue(context: ClientContext, values: KvBucket, key: string, strict: boolean): Promise<void> {
  await context.read({ call: "get value", kind: "value", key, strict }, async () => {
    const entry = await values.get(key);
    return entry && Number(entry.text());
  });
}
