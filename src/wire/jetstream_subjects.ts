/** Prefix of the API of the JetStream that the connected server itself belongs to. */
const OWN_API = "$JS.API";

/**
 * Subjects of JetStream as one connection sees it: its own, that of another domain (`$JS.<domain>.API`), or one that is imported from another
 * account under a prefix.
 */
export class JetStreamSubjects {
  /** The API's prefix, without a dot at its end. */
  readonly apiPrefix: string;
  /** Whether it is the JetStream of the connected server. */
  readonly isOwn: boolean;

  constructor(apiPrefix: string = OWN_API) {
    this.apiPrefix = apiPrefix;
    this.isOwn = apiPrefix === OWN_API;
  }

  /** Where a call of the API is sent, for instance `STREAM.INFO.KV_config`. */
  api(call: string): string {
    return `${this.apiPrefix}.${call}`;
  }

  /**
   * Where a message is published so that it reaches the stream that listens to a subject. Values of key-value buckets go through the API's prefix, as
   * with all NATS clients: servers keep `$KV.>` within its domain.
   */
  publish(subject: string): string {
    return this.isOwn || !subject.startsWith("$KV.") ? subject : `${this.apiPrefix}.${subject}`;
  }
}

/** Where the server announces an event, for instance `STREAM.DELETED.KV_config`. It is the same for all domains. */
export function advisory(event: string): string {
  return `$JS.EVENT.ADVISORY.${event}`;
}
