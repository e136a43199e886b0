/**
 * The own errors of this library. Bad arguments are built-in `TypeError`s and `RangeError`s; being without a connection is no error but `null`.
 * @module
 */
import { checkDuration } from "./checks.ts";
import { checkOptions, type OptionNames } from "./options.ts";
import { shownMessage, shownReason } from "./shown.ts";

/**
 * Why a {@linkcode JetStreamStoreError} was thrown.
 *
 * | code | meaning |
 * | --- | --- |
 * | `disconnected` | a listing, a stream or a `waitFor` cannot begin or continue without a connection |
 * | `auth` | the server refused the credentials |
 * | `tls` | the TLS handshake failed: unknown authority, wrong name, missing client certificate |
 * | `net_permission` | the runtime does not allow the connection (`--allow-net`), or to read a file of credentials or certificates (`--allow-read`) |
 * | `permission` | the server does not allow this user the subject |
 * | `limits` | a limit of the server, the account or the stream is reached |
 * | `jetstream_off` | the server or the account has no JetStream |
 * | `wrong_kind` | the stream under this name is of another kind, or a mirror, which can only be read |
 * | `unsupported` | the server is too old for the feature, or was configured without it |
 * | `damaged` | stored data does not match its digest, or the info of an object cannot be what it says |
 * | `replaced` | an object was replaced, deleted or has expired while its stream was read |
 * | `server` | any other refusal by the server; or its replies cannot be read until the deadline |
 *
 * @category Errors
 */
export type StoreErrorCode =
  | "disconnected"
  | "auth"
  | "tls"
  | "net_permission"
  | "permission"
  | "limits"
  | "jetstream_off"
  | "wrong_kind"
  | "unsupported"
  | "damaged"
  | "replaced"
  | "server";

/**
 * Options of {@linkcode JetStreamStoreError}.
 *
 * @category Errors
 */
export interface StoreErrorOptions extends ErrorOptions {
  /** The server's own error code (`err_code` of the JetStream API), where it gave one. */
  serverCode?: number;
}

/**
 * The server refused for good, or stored data is damaged: repeating the call does not help.
 *
 * @example Distinguish a full store from other failures
 * ```ts
 * import { close, JetStreamStoreError, storeKV } from "@supercheck/jetstream";
 *
 * try {
 *   await storeKV("visits", "1");
 * } catch (error) {
 *   if (!(error instanceof JetStreamStoreError)) throw error;
 *   console.error(error.code === "limits" ? "full" : error.message);
 * }
 * await close();
 * ```
 *
 * @category Errors
 */
export class JetStreamStoreError extends Error {
  /** Why it was thrown. */
  readonly code: StoreErrorCode;
  /** The server's own error code (`err_code` of the JetStream API), where it gave one. */
  readonly serverCode: number | undefined;

  /**
   * Makes one.
   *
   * @param code Why it is thrown.
   * @param message What happened and what to do.
   * @param options `cause` and the server's own code.
   */
  constructor(code: StoreErrorCode, message: string, options: StoreErrorOptions = {}) {
    super(shownMessage(message), options);
    this.name = "JetStreamStoreError";
    this.code = code;
    this.serverCode = options.serverCode;
  }
}

/**
 * Thrown by a job's handler: a retry cannot help, so the job becomes a dead letter at once, with the error's message as the reason.
 *
 * @example Wrong input
 * ```ts
 * import { close, jobQueue, UnrecoverableJobError } from "@supercheck/jetstream";
 *
 * const mails = jobQueue<{ to: string }>("mails");
 * const consumer = mails.consume(({ data: { to } }) => {
 *   if (!to.includes("@")) throw new UnrecoverableJobError("no address");
 * });
 * await consumer.stop();
 * await close();
 * ```
 *
 * @category Errors
 */
export class UnrecoverableJobError extends Error {
  /** The name of the class. */
  override readonly name: string = "UnrecoverableJobError";
}

/**
 * Milliseconds that a postponed job waits unless its handler says. Not 0: a handler that postpones its job until something else has happened would
 * run more than a thousand times a second.
 */
export const POSTPONE_DELAY_MS = 1_000;

/**
 * Options of {@linkcode RetryJobError}.
 *
 * @category Errors
 */
export interface RetryJobOptions extends ErrorOptions {
  /**
   * Milliseconds until the job runs again. With 0 it runs again at once, more than a thousand times a second if the handler keeps postponing it.
   *
   * @default {1_000}
   */
  delay?: number;
}

const RETRY_OPTIONS: OptionNames<RetryJobOptions> = { delay: true, cause: "null" };

/**
 * Thrown by a job's handler: postpones the job. It does not count as a failed attempt; `job.postponed` counts how often it happened.
 *
 * @example Wait for something, ten times at most
 * ```ts
 * import { closeOnSignals, jobQueue, RetryJobError } from "@supercheck/jetstream";
 *
 * jobQueue("exports").consume((job) => {
 *   if (job.postponed < 10) throw new RetryJobError({ delay: 5_000 });
 * });
 * closeOnSignals();
 * ```
 *
 * @category Errors
 */
export class RetryJobError extends Error {
  /** Milliseconds until the job runs again. */
  readonly delay: number;

  /**
   * Makes one.
   *
   * @param given When to run the job again.
   * @throws {TypeError} If an option is unknown.
   * @throws {RangeError} If `delay` is no number, negative, or more than a hundred years.
   */
  constructor(given?: RetryJobOptions) {
    const options = checkOptions(given, RETRY_OPTIONS, "retry the job");
    const { delay = POSTPONE_DELAY_MS } = options;
    checkDuration(delay, "retry the job", "delay", 0);
    super(`The job asked to run again in ${delay} ms`, options);
    this.name = "RetryJobError";
    this.delay = delay;
  }
}

/**
 * What a {@linkcode JobFailedError} contains of the dead letter.
 *
 * @category Errors
 */
export interface JobFailedOptions extends ErrorOptions {
  /** The job's id. */
  id: string;
  /** Attempts that were made. */
  attempts?: number;
}

/**
 * The job that was waited for will not be done: it is a dead letter, was cancelled, or had not started in time.
 *
 * @example A job that failed for good
 * ```ts
 * import { close, JobFailedError, jobQueue } from "@supercheck/jetstream";
 *
 * try {
 *   await jobQueue("mails").waitFor("welcome-ann", { timeout: 100 });
 * } catch (error) {
 *   if (error instanceof JobFailedError) console.error(error.attempts);
 *   else console.error("not done yet, or no connection");
 * }
 * await close();
 * ```
 *
 * @category Errors
 */
export class JobFailedError extends Error {
  /** The job's id. */
  readonly id: string;
  /** Attempts that were made. */
  readonly attempts: number;

  /**
   * Makes one.
   *
   * @param reason The dead letter's reason. The message shows at most 2000 characters, control characters but ends of lines and tabs escaped.
   * @param options Whose it is.
   */
  constructor(reason: string, options: JobFailedOptions) {
    const { id, attempts = 0 } = options;
    super(shownReason(reason), options);
    this.name = "JobFailedError";
    this.id = id;
    this.attempts = attempts;
  }
}
