import { AckPolicy, type JetStreamManager, RetentionPolicy } from "@nats-io/jetstream";
import type { Contestant } from "./_comparison.ts";
import type { BenchOptions } from "./_options.ts";
import type { JobLoad } from "./_queue_peer.ts";
import type { NatsBench } from "./nats_cli_peer.ts";

const STREAM = "go_jobs";
const SUBJECT = "go.jobs";
const CONSUMER = "go";
const PUBLISH = ["js", "pub", "async", SUBJECT, `--stream=${STREAM}`];

/** `nats bench js`: how fast the server is when its official Go client does no more than that. */
export class NatsBenchQueue {
  readonly #bench: NatsBench;
  readonly #jsm: JetStreamManager;
  readonly #messages: number;

  private constructor(bench: NatsBench, jsm: JetStreamManager, messages: number) {
    this.#bench = bench;
    this.#jsm = jsm;
    this.#messages = messages;
  }

  /** Makes its stream and its consumer. */
  static async open(bench: NatsBench, jsm: JetStreamManager, { quick }: BenchOptions): Promise<NatsBenchQueue> {
    await jsm.streams.add({ name: STREAM, subjects: [SUBJECT], retention: RetentionPolicy.Workqueue });
    await jsm.consumers.add(STREAM, { durable_name: CONSUMER, ack_policy: AckPolicy.Explicit, max_ack_pending: -1 });
    return new NatsBenchQueue(bench, jsm, quick ? 5_000 : 50_000);
  }

  /** Publishes, so many at a time unconfirmed. */
  publishing(load: JobLoad, inFlight: number): Contestant {
    return {
      peer: "nats bench js pub async (Go)",
      note: "the server's limit",
      before: () => this.#jsm.streams.purge(STREAM),
      sample: () =>
        this.#bench.rate(
          ...PUBLISH,
          `--batch=${inFlight}`,
          `--msgs=${this.#messages}`,
          `--size=${load.text.length}`,
          "--dedup",
        ),
    };
  }

  /** Consumes; each client acknowledges and waits for the confirmation. */
  consuming(load: JobLoad, clients: number): Contestant {
    const messages = this.#messages / (clients === 1 ? 5 : 1);
    return {
      peer: "nats bench js consume (Go)",
      note: `${clients === 1 ? "1 client" : `${clients} clients`}, double acknowledgement`,
      before: async () => {
        await this.#jsm.streams.purge(STREAM);
        await this.#bench.rate(...PUBLISH, `--msgs=${messages}`, `--size=${load.text.length}`);
      },
      sample: () =>
        this.#bench.rate(
          ...["js", "consume", `--stream=${STREAM}`, `--consumer=${CONSUMER}`, "--doubleack"],
          ...[`--clients=${clients}`, `--msgs=${messages}`],
        ),
      after: async () => {
        const { state } = await this.#jsm.streams.info(STREAM);
        if (state.messages > 0) throw new Error(`${state.messages} messages are left`);
      },
    };
  }
}
