import type { NatsServer } from "../../src/testing/mod.ts";
import { reload } from "../_support/reload.ts";
import { api } from "./api.ts";
import { random } from "./plan.ts";

/** The user of the workers. */
export const WORKER = "worker";

const NONE = deny("none");

/** Configuration of a server whose workers can be denied subjects; who names no user may do all. */
export const USERS = `no_auth_user: admin
authorization { users: [{ user: admin, password: x }, { user: ${WORKER}, password: x, ${NONE} }] }`;

/** Refuses the workers what the ends of their runs need, for a while. */
export class Refusals {
  readonly #server: NatsServer;
  readonly #queue: string;
  readonly #seed: number;
  readonly #log: (line: string) => void;

  constructor(server: NatsServer, queue: string, seed: number, log: (line: string) => void) {
    this.#server = server;
    this.#queue = queue;
    this.#seed = seed;
    this.#log = log;
  }

  /** Begins to refuse something; returns what ends it. */
  async begin(blow: number): Promise<() => Promise<void>> {
    const subjects = ["wqdead.>", "$JS.ACK.>", "wq.>", `$KV.wq_${this.#queue}.>`];
    const streams = [`WQDEAD_${this.#queue}`, `KV_wq_${this.#queue}`];
    const choice = Math.floor(random(this.#seed, blow, 4) * (subjects.length + streams.length));
    return choice < subjects.length
      ? await this.#deny(subjects[choice])
      : await this.#fill(streams[choice - subjects.length]);
  }

  async #deny(subject: string): Promise<() => Promise<void>> {
    this.#log(`workers may not publish to ${subject}`);
    await reload(this.#server, NONE, deny(subject));
    return () => reload(this.#server, deny(subject), NONE);
  }

  /** Limits a stream to the messages that it has, and a few more. */
  async #fill(stream: string): Promise<() => Promise<void>> {
    const { url } = this.#server;
    const info = await api<StreamAnswer>([url], `STREAM.INFO.${stream}`).catch(() => null);
    // It is made by the first job that needs it.
    if (!info) return () => Promise.resolve();
    const limit = (max_msgs: number) => api([url], `STREAM.UPDATE.${stream}`, { ...info.config, max_msgs });
    this.#log(`the stream ${stream} is full`);
    await limit(info.state.messages + 3);
    return async () => void await limit(-1);
  }
}

interface StreamAnswer {
  config: Record<string, unknown>;
  state: { messages: number };
}

function deny(subject: string): string {
  return `permissions: { publish: { deny: ["${subject}"] } }`;
}
