import {
  type Attributes,
  type Context,
  context as contexts,
  type Histogram,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { errorType, UNAVAILABLE } from "./_error_type.ts";
import { guarded, reportFailure } from "./_guarded.ts";
import { findTracer } from "./_providers.ts";

/** What is observed. */
export interface OperationSettings {
  readonly kind: SpanKind;
  /** The span's name. Of few different values: no id and no key is part of it. */
  readonly name: string;
  /** Attributes of the span and of metrics. */
  readonly shared: Attributes;
  /** More of them, known at its end: a first call waits for the connection. */
  readonly server: () => Attributes;
  /** Attributes of the span alone. */
  readonly own?: Attributes;
  readonly links?: Link[];
  /**
   * Holds the parent span.
   *
   * @default {the active context}
   */
  readonly parent?: Context;
  /** Takes the duration in seconds. */
  readonly duration: Histogram | undefined;
}

/** One operation as telemetry sees it: a span and a duration. */
export class Operation {
  /** The context in which its span is active. */
  readonly context: Context;
  readonly #settings: OperationSettings;
  readonly #span: Span | null;
  readonly #began: number = performance.now();
  #error: string | undefined;

  constructor(settings: OperationSettings) {
    const { kind, name, shared, own, links, parent = guarded(() => contexts.active(), ROOT_CONTEXT) } = settings;
    const start = () => findTracer()?.startSpan(name, { kind, attributes: { ...shared, ...own }, links }, parent);
    this.#settings = settings;
    this.#span = guarded(start, undefined) ?? null;
    this.context = guarded(() => this.#span ? trace.setSpan(parent, this.#span) : parent, ROOT_CONTEXT);
  }

  /** Its attributes in metrics, were it to succeed. */
  get shared(): Attributes {
    return { ...this.#settings.shared, ...this.#settings.server() };
  }

  /** Its attributes in metrics. */
  get outcome(): Attributes {
    const { shared } = this;
    return this.#error === undefined ? shared : { ...shared, "error.type": this.#error };
  }

  /** The call gave `null`, because NATS was unavailable. */
  readonly unavailable = (): void => {
    this.#error = UNAVAILABLE;
  };

  failed(error: unknown): void {
    this.#error = errorType(error);
  }

  /** Observes a callback from its start to its end, and what it throws. */
  async run<R>(callback: () => Promise<R>): Promise<R> {
    try {
      return await callback();
    } catch (error) {
      this.failed(error);
      throw error;
    } finally {
      this.end();
    }
  }

  /** @param event Tells more of its end than whether it failed. */
  end(event?: string): void {
    guarded(() => {
      if (event !== undefined) this.#span?.addEvent(event);
      this.#settings.duration?.record((performance.now() - this.#began) / 1_000, this.outcome);
      if (!this.#span) return;
      this.#span.setAttributes(this.#settings.server());
      if (this.#error !== undefined) {
        this.#span.setAttribute("error.type", this.#error);
        this.#span.setStatus({ code: SpanStatusCode.ERROR });
      }
      this.#span.end();
    }, undefined);
  }

  /** Calls back within the context of its span. */
  within<R>(callback: () => R): R {
    let called = false;
    const call = () => {
      called = true;
      return callback();
    };
    try {
      const result = contexts.with(this.context, call);
      if (called) return result;
    } catch (error) {
      if (called) throw error;
      reportFailure(error);
    }
    return callback();
  }
}
