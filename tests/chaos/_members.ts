import { Relay } from "../_support/relay.ts";
import type { ChildScript } from "../ledger/child_script.ts";

/** What a process of a run does. */
export type Role = "producer" | "worker" | "client";

/** A process with its own way to the server. */
export class Member implements AsyncDisposable {
  readonly role: Role;
  readonly name: string;
  readonly links: Relay[];
  readonly #start: (servers: string[]) => ChildScript;
  child: ChildScript;

  /** @param start Starts its process, which is to use these servers. */
  constructor(role: Role, number: number, servers: string[], start: (servers: string[]) => ChildScript) {
    this.role = role;
    this.name = `${role} ${number}`;
    this.links = servers.map((url) => new Relay(url, { alone: true }));
    this.#start = start;
    this.child = this.#spawn();
  }

  /** Kills its process, and starts another one in its place. */
  async replace(): Promise<void> {
    await this.child.kill();
    this.child = this.#spawn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child[Symbol.asyncDispose]();
    for (const link of this.links) await link[Symbol.asyncDispose]();
  }

  #spawn(): ChildScript {
    return this.#start(this.links.map(({ url }) => url));
  }
}
