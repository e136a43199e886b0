import type { Call } from "../wire/call.ts";
import { contentType } from "./http/content_type.ts";
import { download } from "./_download.ts";
import { hasTag, parseRange } from "./http/http_range.ts";
import type { ObjectMeta } from "./format/object_meta.ts";
import type { ObjectReader } from "./_object_reader.ts";
import type { ObjectStream } from "./_object_stream.ts";
import type { ObjectChunks } from "./_object_chunks.ts";

/** Headers of an object that are sent along with it, as HTTP defines them. */
const PASSED_ON = ["Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type"];

/** Seconds of `Retry-After` while there is no connection to NATS. */
const RETRY_SECONDS = "1";

/** {@linkcode ObjectBucket.respond}. */
export async function respond(
  stream: ObjectStream,
  reader: ObjectReader,
  { method, headers }: Request,
  name: string,
): Promise<Response> {
  if (method !== "GET" && method !== "HEAD") {
    return new Response(null, { status: 405, headers: { Allow: "GET, HEAD" } });
  }
  const answered = await stream.observe("respond", async (call) => ({
    response: await reader.read(call, name, (chunks) => responseOf(call, chunks, name, method, headers)),
  }));
  if (answered === null) return new Response(null, { status: 503, headers: { "Retry-After": RETRY_SECONDS } });
  return answered.response ?? new Response(null, { status: 404 });
}

/** `null` if chunks are missing. */
async function responseOf(
  call: Call,
  chunks: ObjectChunks,
  name: string,
  method: "GET" | "HEAD",
  asked: Headers,
): Promise<Response | null> {
  const { meta } = chunks;
  const { size, message: { time } } = meta;
  const tag = `"${(meta.digest || meta.nuid).replaceAll(/[^\x21\x23-\x7e]/g, "")}"`;
  const headers = headersOf(meta, name, tag, time);
  if (isUnchanged(asked, tag, time)) return new Response(null, { status: 304, headers });
  headers.set("Accept-Ranges", "bytes");
  const range = method === "GET" && isSame(asked.get("If-Range"), tag, time)
    ? parseRange(asked.get("Range"), size)
    : null;
  if (range === "unsatisfiable") {
    headers.set("Content-Range", `bytes */${size}`);
    return new Response(null, { status: 416, headers });
  }
  const [start, end] = range ?? [0, size];
  headers.set("Content-Length", String(end - start));
  if (range) headers.set("Content-Range", `bytes ${start}-${end - 1}/${size}`);
  if (method === "HEAD") return new Response(null, { headers });
  const body = await download(call, chunks.range({ start, end }));
  return body && new Response(body, { status: range ? 206 : 200, headers });
}

function headersOf(meta: ObjectMeta, name: string, tag: string, time: Date): Headers {
  const headers = new Headers({ "Content-Type": contentType(name), ETag: tag, "Last-Modified": time.toUTCString() });
  // What the browser guesses from bytes that anybody may have stored could be a script.
  headers.set("X-Content-Type-Options", "nosniff");
  for (const [header, values] of Object.entries(meta.headers ?? {})) {
    const known = PASSED_ON.find((each) => each.toLowerCase() === header.toLowerCase());
    const value = [values].flat().join(", ");
    // Other clients may have stored what is no value in HTTP.
    if (known && /^[\t\x20-\x7e\x80-\xff]+$/.test(value)) headers.set(known, value);
  }
  return headers;
}

function isUnchanged(asked: Headers, tag: string, time: Date): boolean {
  const tags = asked.get("If-None-Match");
  if (tags !== null) return hasTag(tags, tag);
  const since = Date.parse(asked.get("If-Modified-Since") ?? "");
  return wholeSecond(time) <= since;
}

/** Whether `If-Range` names this version: by its tag, which must not be a weak one, or by its time. */
function isSame(ifRange: string | null, tag: string, time: Date): boolean {
  if (ifRange === null) return true;
  return ifRange.includes('"') ? ifRange.trim() === tag : wholeSecond(time) === Date.parse(ifRange);
}

/** HTTP has whole seconds only. */
function wholeSecond(time: Date): number {
  return Math.floor(time.getTime() / 1_000) * 1_000;
}
