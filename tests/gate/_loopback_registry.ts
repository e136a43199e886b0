import { createHash } from "node:crypto";

/**
 * A registry on the loopback interface that speaks as much of JSR's protocol as `deno publish` and an import of `jsr:` need. What is
 * published to it is served as it came, so that an import runs the very files that users would get, with the specifiers that
 * `deno publish` has put in. Set `JSR_URL` to its `url`.
 */
export class LoopbackRegistry implements AsyncDisposable {
  readonly #published = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => this.#answer(request),
  );

  /** What `JSR_URL` is to be set to. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Paths of the files that were published. */
  get files(): string[] {
    return [...this.#published.keys()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") {
      for (const [path, content] of await unpack(request.body!)) this.#published.set(path, content);
      return Response.json({ id: "1", status: "success", error: null });
    }
    if (/^\/api\/scopes\/\w+\/packages\/\w+$/.test(pathname)) return Response.json({});
    const [, version, path] = pathname.match(/^\/@\w+\/\w+\/([\d.]+)\/(.+)/) ?? [];
    if (version && this.#published.has(path)) return new Response(this.#published.get(path));
    if (this.#published.size > 0) {
      const { version, exports } = JSON.parse(new TextDecoder().decode(this.#published.get("deno.json")));
      if (/^\/@\w+\/\w+\/meta.json$/.test(pathname)) {
        return Response.json({ latest: version, versions: { [version]: {} } });
      }
      if (pathname.endsWith(`/${version}_meta.json`)) return Response.json({ exports, manifest: this.#manifest() });
    }
    return Response.json({ code: "notFound", message: `There is no ${pathname}` }, { status: 404 });
  }

  #manifest(): Record<string, { size: number; checksum: string }> {
    return Object.fromEntries(
      this.#published.entries().map(([path, content]) => {
        const checksum = `sha256-${createHash("sha256").update(content).digest("hex")}`;
        return [`/${path}`, { size: content.length, checksum }];
      }),
    );
  }
}

/** The files of a gzipped tar archive as `deno publish` makes it: headers of 512 bytes, contents padded to as much. */
async function unpack(gzipped: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const archive = await new Response(gzipped.pipeThrough(new DecompressionStream("gzip"))).bytes();
  const text = (from: number, to: number) => new TextDecoder().decode(archive.subarray(from, to)).replace(/\0.*$/s, "");
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (let header = 0; text(header, header + 100) !== "";) {
    const content = header + 512;
    const size = parseInt(text(header + 124, header + 136), 8);
    files.set(text(header, header + 100), archive.slice(content, content + size));
    header = content + Math.ceil(size / 512) * 512;
  }
  return files;
}
