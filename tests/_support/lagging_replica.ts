import { headers as emptyHeaders, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { type NatsCluster, startNatsCluster } from "../../src/testing/mod.ts";

/** A message as the replica has it. */
interface Kept {
  subject: string;
  seq: number;
  time: string;
  hdrs?: string;
  data?: string;
}

/** A cluster whose direct gets from one stream are answered by a replica that lags behind: it knows what the stream had at the last freeze. */
export class LaggingReplica implements AsyncDisposable {
  readonly #cluster: NatsCluster;
  readonly #stream: string;
  readonly #nc: NatsConnection;
  #kept: Kept[] = [];
  /** Called before the next page is answered: gives how many messages it has. Further ones are answered by a replica that has nothing newer. */
  onPage: (() => Promise<number>) | null = null;
  /** Requests that it has answered. */
  answered = 0;

  private constructor(cluster: NatsCluster, stream: string, nc: NatsConnection) {
    this.#cluster = cluster;
    this.#stream = stream;
    this.#nc = nc;
  }

  /**
   * The servers map the direct gets of the stream to subjects to which the replica listens.
   *
   * @param more Further configuration of the servers.
   */
  static async start(stream: string, more: string = ""): Promise<LaggingReplica> {
    const to = `lagging.${stream}`;
    const config =
      `${more}\nmappings { "$JS.API.DIRECT.GET.${stream}": "${to}", "$JS.API.DIRECT.GET.${stream}.>": "${to}.>" }`;
    const cluster = await startNatsCluster({ servers: 2, config });
    const nc = await connect({ servers: cluster.urls });
    const replica = new LaggingReplica(cluster, stream, nc);
    for (const subject of [to, `${to}.>`]) {
      nc.subscribe(subject, {
        callback: (_, request) => void replica.#answer(request, request.subject.slice(to.length + 1)),
      });
    }
    await nc.flush();
    return replica;
  }

  get urls(): string[] {
    return this.#cluster.urls;
  }

  /** From now on it has what the stream has now, and nothing newer. */
  async freeze(): Promise<void> {
    this.#kept = [];
    for (let seq = 1;; seq++) {
      const body = JSON.stringify({ seq, next_by_subj: ">" });
      const reply = await this.#nc.request(`$JS.API.STREAM.MSG.GET.${this.#stream}`, body, { timeout: 10_000 });
      const { message } = reply.json<{ message?: Kept }>();
      if (!message) break;
      this.#kept.push(message);
      seq = message.seq;
    }
    this.answered = 0;
  }

  /** Stores a message as another client would. */
  async publish(subject: string, payload: string): Promise<void> {
    await this.#nc.request(subject, payload, { timeout: 10_000 });
  }

  /** Removes the messages of a subject as another client would. */
  async purge(filter: string): Promise<void> {
    await this.#nc.request(`$JS.API.STREAM.PURGE.${this.#stream}`, JSON.stringify({ filter }), { timeout: 10_000 });
  }

  /** It has not seen the newest message whose subject ends so. */
  rewind(end: string): void {
    this.#kept.splice(this.#kept.findLastIndex(({ subject }) => subject.endsWith(end)), 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nc.close();
    await this.#cluster[Symbol.asyncDispose]();
  }

  async #answer(request: Msg, subject: string): Promise<void> {
    this.answered++;
    const size = subject === "" ? await this.#pageSize(request) : Infinity;
    if (subject !== "") return this.#respond(request, this.#kept.findLast((kept) => kept.subject === subject));
    const query = request.json<{ seq?: number; next_by_subj?: string; batch?: number; multi_last?: string[] }>();
    const found = query.multi_last
      ? query.multi_last.map((subject) => this.#kept.findLast((kept) => kept.subject === subject)).filter((one) => one)
      : this.#kept.filter(({ subject, seq }) => seq >= query.seq! && matches(subject, query.next_by_subj!));
    if (!query.batch) return this.#respond(request, found[0]);
    const some = found.slice(0, Math.min(query.batch, size));
    if (size < Infinity) this.#kept = this.#kept.filter(({ seq }) => seq <= some.at(-1)!.seq);
    if (some.length === 0) return this.#respond(request, undefined, "No Results");
    for (const one of some) this.#respond(request, one, "", found.length - some.length);
    const end = emptyHeaders(204, "EOB");
    end.set("Nats-Num-Pending", `${found.length - some.length}`);
    request.respond("", { headers: end });
  }

  async #pageSize(request: Msg): Promise<number> {
    const { onPage } = this;
    if (!onPage || !request.json<{ batch?: number; next_by_subj?: string }>().batch) return Infinity;
    this.onPage = null;
    return await onPage();
  }

  #respond(request: Msg, kept: Kept | undefined, nothing = "Message Not Found", pending = 0): void {
    if (!kept) return void request.respond("", { headers: emptyHeaders(404, nothing) });
    const headers = headersOf(kept);
    headers.append("Nats-Stream", this.#stream);
    headers.append("Nats-Subject", kept.subject);
    headers.append("Nats-Sequence", `${kept.seq}`);
    headers.append("Nats-Time-Stamp", kept.time);
    headers.append("Nats-Num-Pending", `${pending}`);
    request.respond(Uint8Array.from(atob(kept.data ?? ""), (c) => c.charCodeAt(0)), { headers });
  }
}

function headersOf({ hdrs }: Kept): MsgHdrs {
  const headers = emptyHeaders();
  for (const line of atob(hdrs ?? "").split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return headers;
}

function matches(subject: string, filter: string): boolean {
  return filter.endsWith(".>") ? subject.startsWith(filter.slice(0, -1)) : subject === filter;
}
