import { certificateExpiry } from "./certificate.ts";
import { excerpt } from "./excerpt.ts";
import { messageOf } from "../../shown.ts";

/** What a check found: the JSON that is stored. */
export interface CheckResult {
  /** The checked URL. */
  url: string;
  /** `up`: it answered with a status of 2xx, after redirects. */
  state: "up" | "down";
  /** Status of the answer; `null` if there was none. */
  status: number | null;
  /** Text of the status. */
  statusText: string;
  /** Milliseconds to the answer's headers; `null` if there was none. */
  latency: number | null;
  /** Why there was no whole answer. */
  error: string | null;
  /** What the body begins with. */
  body: string;
  /** When the certificate expires (RFC 3339); `null` without one. */
  tlsExpires: string | null;
  /** Number of the attempt that decided, from 1. */
  attempt: number;
  /** When the check ended (RFC 3339). */
  checkedAt: string;
}

/** Options of {@linkcode checkUrl}. */
export interface CheckOptions {
  /** Milliseconds that it may take. */
  timeout: number;
  /** Number of the attempt, from 1. */
  attempt: number;
  signal: AbortSignal;
}

/** Fetches a URL once. A service that is down is a result; only an abort of `signal` throws. */
export async function checkUrl(url: string, { timeout, attempt, signal }: CheckOptions): Promise<CheckResult> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
  const result: CheckResult = {
    url,
    state: "down",
    status: null,
    statusText: "",
    latency: null,
    error: null,
    body: "",
    tlsExpires: null,
    attempt,
    checkedAt: "",
  };
  let last = new URL(url);
  try {
    const start = performance.now();
    const response = await fetch(url, { signal: deadline, headers: { "user-agent": "supercheck-demo" } });
    result.latency = Math.round((performance.now() - start) * 10) / 10;
    result.status = response.status;
    result.statusText = response.statusText;
    last = new URL(response.url);
    result.body = await excerpt(response);
    if (response.ok) result.state = "up";
  } catch (error) {
    signal.throwIfAborted();
    if (!deadline.aborted) result.error = describeFailure(error);
    else result.error = `no ${result.status === null ? "answer" : "whole body"} within ${timeout} ms`;
  }
  if (last.protocol === "https:") {
    const expires = await certificateExpiry(last, AbortSignal.any([signal, AbortSignal.timeout(timeout)]));
    result.tlsExpires = expires?.toISOString() ?? null;
  }
  result.checkedAt = new Date().toISOString();
  return result;
}

/** The reason at the end of the chain of errors that `fetch` gives, e.g. "connection refused". */
function describeFailure(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const message = messageOf(cause);
  const reason = message.replace(/^.*client error \(\w+\): /s, "").replace(
    /^(tcp connect error|dns error|fetch failed): /i,
    "",
  );
  if (/failed to lookup|No address associated|nodename nor servname/i.test(reason)) return "unknown host name";
  return reason.replace(/ \(os error \d+\)$/, "").replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}
