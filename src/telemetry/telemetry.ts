import { type Attributes, ROOT_CONTEXT, type SpanContext, SpanKind, trace } from "@opentelemetry/api";
import { type GaugeSource, gaugeSources, type QueueDepth } from "./gauges.ts";
import { guarded } from "./_guarded.ts";
import { findInstruments, type Instruments } from "./instruments.ts";
import { Operation } from "./operation.ts";
import { isObserved } from "./_providers.ts";
import { hasTrace, type HeaderList, readTrace, writeTrace } from "./_trace_headers.ts";

/** The part of a session that telemetry looks at. */
export interface ObservedSession {
  /** Aborts when the session ends. */
  readonly signal: AbortSignal;
  readonly requests: { readonly size: number };
}

/** A queue that this process publishes to or consumes. */
export interface ObservedQueue {
  readonly name: string;
  /** Asks the server how full it is; `null`: there is none, or no connection. */
  depth(): Promise<QueueDepth | null>;
}

/** A job as its message has it. */
export interface TracedJob {
  readonly id: string;
  readonly headers: HeaderList;
}

/** A job as its handler sees it. */
export interface RunningJob {
  readonly id: string;
  /** From 1. */
  readonly attempt: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Spans and metrics of one `JetStreamStores`. A call costs some 40 ns while the process has no telemetry provider. */
export class Telemetry implements GaugeSource {
  /** By name, those that this process publishes to or consumes. */
  readonly queues: Map<string, ObservedQueue> = new Map();
  readonly refused: Set<string> = new Set();
  #session: ObservedSession | null = null;
  #server: Attributes = {};
  readonly #serverAttributes = (): Attributes => this.#server;
  #sessions = 0;

  get requestsInFlight(): number {
    return this.#session?.requests.size ?? 0;
  }

  /** Adds gauges of the depth of a queue. */
  observe(queue: ObservedQueue): void {
    this.queues.set(queue.name, queue);
  }

  /** @param server `host:port`. */
  connected(session: ObservedSession, server: string): void {
    this.refused.clear();
    this.#session = session;
    this.#server = serverAttributes(server);
    gaugeSources.add(this);
    session.signal.addEventListener("abort", () => {
      if (this.#session !== session) return;
      this.#session = null;
      gaugeSources.delete(this);
    }, { once: true });
    this.#sessions++;
    count((instruments) => this.#sessions > 1 && instruments.reconnects.add(1));
  }

  /**
   * Observes a publish. Jobs take its trace along, unless their publisher has named one.
   *
   * @param publish Returns a receipt for each job, `null` for one that is not confirmed.
   */
  send<R>(queue: ObservedQueue, jobs: readonly TracedJob[], publish: () => Promise<R>, isBatch = false): Promise<R> {
    return isObserved() && jobs.length > 0 ? this.#send(queue, jobs, publish, isBatch) : publish();
  }

  async #send<R>(
    queue: ObservedQueue,
    jobs: readonly TracedJob[],
    publish: () => Promise<R>,
    isBatch: boolean,
  ): Promise<R> {
    const operation = new Operation({
      kind: SpanKind.PRODUCER,
      name: `send ${queue.name}`,
      shared: this.#messaging("send", queue),
      server: this.#serverAttributes,
      own: isBatch ? { "messaging.batch.message_count": jobs.length } : { "messaging.message.id": jobs[0].id },
      links: publishersOf(jobs).map((context) => ({ context })),
      duration: findInstruments()?.sendDuration,
    });
    for (const { headers } of jobs) {
      if (!hasTrace(headers)) guarded(() => writeTrace(operation.context, headers), undefined);
    }
    let confirmed = 0;
    try {
      return await operation.run(async () => {
        const receipts = await publish();
        confirmed = Array.isArray(receipts)
          ? receipts.filter((receipt) => receipt !== null).length
          : Number(receipts !== null);
        if (confirmed < jobs.length) operation.unavailable();
        return receipts;
      });
    } finally {
      count(({ sentMessages }) => {
        if (confirmed > 0) sentMessages.add(confirmed, operation.shared);
        if (confirmed < jobs.length) sentMessages.add(jobs.length - confirmed, operation.outcome);
      });
    }
  }

  /** Begins to observe a run of a job, which is a child of its publisher's span; `null`: there is no observer. */
  process(queue: ObservedQueue, job: RunningJob): Operation | null {
    return isObserved() ? this.#process(queue, [job], false) : null;
  }

  /** Begins to observe a run of a batch, which links to the publishers' spans of its jobs; `null`: there is no observer. */
  processBatch(queue: ObservedQueue, jobs: readonly RunningJob[]): Operation | null {
    return isObserved() ? this.#process(queue, jobs, true) : null;
  }

  #process(queue: ObservedQueue, jobs: readonly RunningJob[], isBatch: boolean): Operation {
    const publishers = publishersOf(jobs);
    const operation = new Operation({
      kind: SpanKind.CONSUMER,
      name: `process ${queue.name}`,
      shared: this.#messaging("process", queue),
      server: this.#serverAttributes,
      own: isBatch
        ? { "messaging.batch.message_count": jobs.length }
        : { "messaging.message.id": jobs[0].id, "job.attempt": jobs[0].attempt },
      links: isBatch ? publishers.map((context) => ({ context })) : undefined,
      // A run is never a child of the span that was active when the worker started.
      parent: isBatch || publishers.length === 0 ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, publishers[0]),
      duration: findInstruments()?.processDuration,
    });
    count(({ consumedMessages }) => consumedMessages.add(jobs.length, operation.shared));
    return operation;
  }

  /**
   * Counts how a delivery of a job ended.
   *
   * @param run Its run, which ends with that; `null`: there was none, or no observer.
   */
  ended(queue: string, outcome: string, run: Operation | null): void {
    const instruments = findInstruments();
    if (instruments) countEnded(instruments, queue, outcome);
    run?.end(`job.${outcome}`);
  }

  /** Observes a call of a bucket; `null`: there is no observer. */
  call(bucket: string, operation: string): Operation | null {
    if (!isObserved()) return null;
    return new Operation({
      kind: SpanKind.CLIENT,
      name: `${operation} ${bucket}`,
      shared: {
        "db.system.name": "nats",
        "db.namespace": bucket,
        "db.operation.name": operation,
      },
      server: this.#serverAttributes,
      duration: findInstruments()?.bucketDuration,
    });
  }

  #messaging(operation: "send" | "process", queue: ObservedQueue): Attributes {
    this.observe(queue);
    return {
      "messaging.system": "nats",
      "messaging.operation.name": operation,
      "messaging.operation.type": operation,
      "messaging.destination.name": queue.name,
    };
  }
}

function countEnded({ endedJobs }: Instruments, queue: string, outcome: string): void {
  const attributes = { "messaging.system": "nats", "messaging.destination.name": queue, "job.outcome": outcome };
  guarded(() => endedJobs.add(1, attributes), undefined);
}

function count(add: (instruments: Instruments) => unknown): void {
  const instruments = findInstruments();
  if (instruments) guarded(() => add(instruments), undefined);
}

/** What the publishers of jobs named, each once. */
function publishersOf(
  jobs: readonly { readonly headers: HeaderList | Readonly<Record<string, string>> }[],
): SpanContext[] {
  const found = new Map<string, SpanContext>();
  for (const { headers } of jobs) {
    const publisher = guarded(() => readTrace(Array.isArray(headers) ? headers : Object.entries(headers)), null);
    if (publisher) found.set(publisher.traceId + publisher.spanId, publisher);
  }
  return [...found.values()];
}

function serverAttributes(server: string): Attributes {
  const [, address, port] = /^\[?(.*?)\]?:(\d+)$/.exec(server) ?? [];
  return address === undefined ? {} : { "server.address": address, "server.port": Number(port) };
}
