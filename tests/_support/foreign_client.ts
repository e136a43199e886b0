import { headers as newHeaders, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";

/** A message as a stream keeps it. */
export interface RawMessage {
  subject: string;
  sequence: number;
  time: string;
  headers: Record<string, string>;
  body: string;
}

/** What the server answers a publish. */
export interface PublishAnswer {
  seq?: number;
  duplicate?: boolean;
  error?: { err_code: number; description: string };
}

/** Another client: it knows nothing of this library, and sees what is on the wire. */
export class ForeignClient implements AsyncDisposable {
  readonly connection: NatsConnection;

  private constructor(connection: NatsConnection) {
    this.connection = connection;
  }

  /** @param options `reconnect`: for a server that is restarted; it is not by default, so that what is asked of a server that has gone fails. */
  static async connect(
    url: string,
    options: { user?: string; pass?: string; reconnect?: boolean } = {},
  ): Promise<ForeignClient> {
    const again = { reconnectTimeWait: 50, maxReconnectAttempts: -1 };
    return new ForeignClient(await connect({ servers: url, reconnect: false, ...again, ...options }));
  }

  /** Changes the configuration of a stream, as an operator does. */
  async update(stream: string, change: object): Promise<void> {
    const { config } = await this.api<{ config: object }>(`STREAM.INFO.${stream}`);
    const { error } = await this.api<{ error?: unknown }>(`STREAM.UPDATE.${stream}`, { ...config, ...change });
    if (error) throw new Error(JSON.stringify(error));
  }

  /** Calls `$JS.API.<call>`; an error of the server is in the answer. */
  async api<T = Record<string, unknown>>(call: string, body?: unknown): Promise<T> {
    const payload = body === undefined ? "" : JSON.stringify(body);
    return (await this.connection.request(`$JS.API.${call}`, payload, { timeout: 15_000 })).json<T>();
  }

  /** As {@linkcode ForeignClient.api}, but throws what the server refuses. */
  async request<T = Record<string, unknown>>(call: string, body?: unknown): Promise<T> {
    const answer = await this.api<T & { error?: { description: string } }>(call, body);
    if (answer.error) throw new Error(`${call}: ${answer.error.description}`);
    return answer;
  }

  /** Publishes to a stream. */
  async publish(
    subject: string,
    body: string | Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<PublishAnswer> {
    const block = newHeaders();
    for (const [name, value] of Object.entries(headers)) block.set(name, value);
    return (await this.connection.request(subject, body, { timeout: 15_000, headers: block })).json<PublishAnswer>();
  }

  /** The messages of a stream under a filter, oldest first; none, if there is no such stream. */
  async messages(stream: string, filter: string = ">"): Promise<RawMessage[]> {
    const found: RawMessage[] = [];
    for (let seq = 1;;) {
      const { message } = await this.api<{ message?: ApiMessage }>(`STREAM.MSG.GET.${stream}`, {
        seq,
        next_by_subj: filter,
      });
      if (!message) return found;
      found.push({
        subject: message.subject,
        sequence: message.seq,
        time: message.time,
        headers: parseHeaders(message.hdrs),
        body: new TextDecoder().decode(decodeBase64(message.data)),
      });
      seq = message.seq + 1;
    }
  }

  /** What the server says of a stream; `undefined`, if there is none. */
  async stream(name: string): Promise<StreamAnswer | undefined> {
    const answer = await this.api<StreamAnswer & { error?: unknown }>(`STREAM.INFO.${name}`);
    return answer.error ? undefined : answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
  }
}

/** The part of a stream's state that the tests look at. */
export interface StreamAnswer {
  config: { subjects: string[]; retention: string; max_age: number; duplicate_window: number; num_replicas: number };
  state: { messages: number; last_seq: number; consumer_count: number };
}

interface ApiMessage {
  subject: string;
  seq: number;
  time: string;
  data?: string;
  hdrs?: string;
}

function decodeBase64(text = ""): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function parseHeaders(block: string | undefined): Record<string, string> {
  const lines = new TextDecoder().decode(decodeBase64(block)).split("\r\n").slice(1).filter((line) => line !== "");
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
  );
}
