import { headers as emptyHeaders, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";

/** A message as its stream keeps it. */
export interface KeptMessage {
  seq: number;
  subject: string;
  time: string;
  data: string;
}

/** A client that knows nothing of this library. */
export class ForeignClient implements AsyncDisposable {
  readonly connection: NatsConnection;

  private constructor(connection: NatsConnection) {
    this.connection = connection;
  }

  static async connect(url: string): Promise<ForeignClient> {
    return new ForeignClient(await connect({ servers: url, reconnectTimeWait: 50, maxReconnectAttempts: -1 }));
  }

  /** Calls `$JS.API.<call>`; throws what the server refuses. */
  async api<T = Record<string, unknown>>(call: string, body?: unknown): Promise<T> {
    const payload = body === undefined ? "" : JSON.stringify(body);
    const reply = await this.connection.request(`$JS.API.${call}`, payload, { timeout: 15_000 });
    const answer = reply.json<T & { error?: { description: string } }>();
    if (answer.error) throw new Error(`${call}: ${answer.error.description}`);
    return answer;
  }

  /** Stores a message. */
  async publish(subject: string, payload: string, pairs: Record<string, string> = {}): Promise<void> {
    const headers = emptyHeaders();
    for (const [name, value] of Object.entries(pairs)) headers.set(name, value);
    const reply = await this.connection.request(subject, payload, { timeout: 15_000, headers });
    const { error } = reply.json<{ error?: { description: string } }>();
    if (error) throw new Error(`${subject}: ${error.description}`);
  }

  /** What a stream keeps under a filter, oldest first. */
  async messages(stream: string, filter: string = ">"): Promise<KeptMessage[]> {
    const found: KeptMessage[] = [];
    for (let seq = 1;; seq = found[found.length - 1].seq + 1) {
      try {
        const { message } = await this.api<{ message: KeptMessage }>(`STREAM.MSG.GET.${stream}`, {
          seq,
          next_by_subj: filter,
        });
        found.push({ ...message, data: atob(message.data ?? "") });
      } catch {
        return found;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
  }
}
