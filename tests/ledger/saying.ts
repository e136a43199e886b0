import { JetStreamStores, type JobQueue } from "../../mod.ts";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { api } from "./api.ts";
import { ChildScript } from "./child_script.ts";
import type { Say, SayerOptions, SayerRun } from "./_sayer.ts";

const QUEUE = "saying";

/** A server with one queue, whose jobs say what their workers, each a process of its own, do with them. */
export class Saying implements AsyncDisposable {
  readonly server: NatsServer;
  readonly queue: JobQueue<{ say: Say }>;
  readonly #stores: JetStreamStores;
  readonly #file: string;
  readonly #workers: ChildScript[] = [];

  private constructor(server: NatsServer, lease: number) {
    this.server = server;
    this.#stores = new JetStreamStores({ servers: server.url, logger: { info() {}, warn() {}, error: console.error } });
    this.queue = this.#stores.jobQueue(QUEUE, { lease });
    this.#file = Deno.makeTempFileSync({ prefix: "saying-" });
  }

  /** @param lease Milliseconds. */
  static async start(lease: number): Promise<Saying> {
    const saying = new Saying(await startNatsServer(), lease);
    if (!await saying.queue.open()) throw new Error("The queue cannot be opened");
    return saying;
  }

  /** Starts a worker. */
  work(options: Partial<SayerOptions> = {}): ChildScript {
    const worker = new ChildScript(new URL("_sayer.ts", import.meta.url), {
      url: this.server.url,
      queue: QUEUE,
      file: this.#file,
      ...options,
    });
    this.#workers.push(worker);
    return worker;
  }

  /** Tells all workers to end, and waits until they have. */
  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.finish()));
  }

  /** All runs so far, by all workers. */
  runs(): SayerRun[] {
    return Deno.readTextFileSync(this.#file).split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  /** The subjects of the messages in the queue's stream. */
  async subjects(): Promise<string[]> {
    const { state } = await api<{ state: { subjects?: Record<string, number> } }>(
      [this.server.url],
      `STREAM.INFO.WQ_${QUEUE}`,
      { subjects_filter: ">" },
    );
    return Object.keys(state.subjects ?? {});
  }

  /** Waits until the queue has no more jobs. */
  async drained(): Promise<void> {
    await waitUntil(async () => (await this.subjects()).length === 0);
  }

  /** Waits until a worker waits for jobs: until the server holds a pull of it. */
  async waitedFor(): Promise<void> {
    await waitUntil(async () => {
      const info = await api<{ num_waiting: number }>([this.server.url], `CONSUMER.INFO.WQ_${QUEUE}.normal`, {});
      return info.num_waiting > 0;
    });
  }

  /** Ids, and reasons, of the dead letters. */
  async deadLetters(): Promise<[id: string, reason: string][]> {
    const found: [string, string][] = [];
    for await (const { id, reason } of this.queue.deadLetters()) found.push([id, reason]);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) await worker[Symbol.asyncDispose]();
    await this.#stores.close();
    await this.server[Symbol.asyncDispose]();
    await Deno.remove(this.#file);
  }
}
