import { oneLine } from "../terminal/text.ts";

/** Bytes of a body that are read for its excerpt. */
const MAX_READ_BYTES = 16_384;
const MAX_CHARACTERS = 120;

/** What a response's body begins with, or a page's title, on one line; the rest of the body is not read. */
export async function excerpt(response: Response): Promise<string> {
  const type = response.headers.get("content-type") ?? "";
  const text = new TextDecoder().decode(await beginning(response));
  if (text === "") return "";
  if (!/text|json|xml|javascript/.test(type)) return `(${oneLine(type) || "of no type"})`;
  const title = /<title[^>]*>([^<]+)/i.exec(text)?.[1];
  return oneLine(title ?? text).slice(0, MAX_CHARACTERS).toWellFormed();
}

async function beginning(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the body.
  for await (const part of response.body ?? []) {
    parts.push(part);
    if ((size += part.length) >= MAX_READ_BYTES) break;
  }
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}
