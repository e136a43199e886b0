/**
 * A file to keep, which the browser never shows as a page of this origin.
 *
 * @param name The name of what is stored; the file gets what follows its last slash.
 * @param length Bytes of the body, where they are known.
 */
export function fileResponse(name: string, body: ReadableStream | Uint8Array<ArrayBuffer>, length?: number): Response {
  const file = name.slice(name.lastIndexOf("/") + 1).toWellFormed() || "data";
  return new Response(body, {
    headers: {
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(file).replace(/['()*]/g, escape)}`,
      ...(length !== undefined && { "content-length": String(length) }),
    },
  });
}

function escape(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
