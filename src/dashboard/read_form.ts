/** Bytes of a form, at most: larger data does not fit a job. */
const MAX_FORM = 8 * 1024 * 1024;

/**
 * Reads a form.
 *
 * @throws {RangeError} If it is too large; the rest of it is not read.
 * @throws {TypeError} If it is none.
 */
export async function readForm({ body, headers }: Request): Promise<FormData> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const part of body ?? []) {
    length += part.length;
    if (length > MAX_FORM) throw new RangeError("Cannot take the form as it has more than 8 MiB");
    parts.push(part);
  }
  const type = headers.get("content-type") ?? "application/x-www-form-urlencoded";
  return await new Response(new Blob(parts), { headers: { "content-type": type } }).formData();
}
