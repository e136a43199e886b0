import type { JetStreamStores, JobQueue, KvBucket } from "../../mod.ts";
import type { ClientContext } from "./_client_context.ts";

/** Milliseconds between two steps. */
const PAUSE = 200;

/** Milliseconds for the streams to be there again, and served, once nobody deletes them any more. */
const HEAL_TIMEOUT = 30_000;

/** A bucket and a queue whose streams others delete: what they hold may be lost, but they come back. */
export class ScratchStores {
  readonly #context: ClientContext;
  readonly #bucket: KvBucket;
  readonly #queue: JobQueue<string>;

  constructor(context: ClientContext, stores: JetStreamStores, name: string, replicas: number) {
    this.#context = context;
    this.#bucket = stores.kvBucket(name, { replicas });
    this.#queue = stores.jobQueue<string>(name, { replicas });
  }

  /** Writes and publishes until the client is to end. */
  async use(): Promise<void> {
    const { client, calls } = this.#context;
    await this.#context.repeat(PAUSE, async (step) => {
      await calls.make("put scratch", () => this.#bucket.put(client, `${step}`));
      await calls.make("publish scratch", () => this.#queue.publish(client));
    });
  }

  /** Notes it if a value cannot be stored and read, or a job is not done. */
  async checkHealed(): Promise<void> {
    const { client, calls } = this.#context;
    const stored = await this.#untilTrue(async () => {
      const revision = await calls.make("put scratch", () => this.#bucket.put(client, "end"));
      return typeof revision === "number" && (await this.#bucket.get(client))?.revision === revision;
    });
    if (!stored) this.#context.wrong("The bucket whose stream was deleted stores no value");
    const id = `end-${client}`;
    const published = await this.#untilTrue(async () =>
      await calls.make("publish scratch", () => this.#queue.publish(client, { id, keepResult: 60_000 })) !== null
    );
    if (!published) return this.#context.wrong("The queue whose stream was deleted takes no job");
    await this.#queue.waitFor(id, { timeout: HEAL_TIMEOUT }).catch((error) =>
      this.#context.wrong(`A job of the queue whose stream was deleted is not done: ${error}`)
    );
  }

  async #untilTrue(holds: () => Promise<boolean>): Promise<boolean> {
    for (const until = performance.now() + HEAL_TIMEOUT; performance.now() < until;) {
      if (await holds()) return true;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    return false;
  }
}
