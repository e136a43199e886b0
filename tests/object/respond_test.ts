import { assert, assertEquals, assertRejects } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { hasTag, parseRange } from "../../src/object/http/http_range.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

const URL = "http://127.0.0.1/object";

/** What a response says, without its body. */
function said({ status, headers }: Response, ...names: string[]): (number | string | null)[] {
  return [status, ...names.map((name) => headers.get(name))];
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}

Deno.test("ObjectBucket.respond gives an object with its tag, type and length", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("files", { maxChunkSize: 100 });
  const data = randomBytes(1_234);
  await bucket.put("video.mp4", data);
  // The time that the server gave it, not that of its writer.
  const info = (await bucket.info("video.mp4"))!;
  for (const method of ["GET", "HEAD"]) {
    const response = await bucket.respond(new Request(URL, { method }), "video.mp4");
    assertEquals(said(response, "Content-Type", "Content-Length", "Accept-Ranges", "ETag"), [
      200,
      "video/mp4",
      "1234",
      "bytes",
      `"${info.digest}"`,
    ]);
    assertEquals(Date.parse(response.headers.get("Last-Modified")!), Math.floor(info.mtime.getTime() / 1_000) * 1_000);
    assertBytes(await bytesOf(response), method === "GET" ? data : new Uint8Array());
  }
});

Deno.test("ObjectBucket.respond gives one range, and ignores what it must not understand", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("files", { maxChunkSize: 100 });
  const data = randomBytes(1_000);
  await bucket.put("a.bin", data);
  const { digest, mtime } = (await bucket.info("a.bin"))!;
  const ask = (headers: HeadersInit, method = "GET") => bucket.respond(new Request(URL, { method, headers }), "a.bin");
  for (
    const [range, start, end] of [["bytes=0-0", 0, 1], ["bytes=450-", 450, 1_000], ["bytes=-10", 990, 1_000], [
      "bytes=999-9999",
      999,
      1_000,
    ], ["bytes=-9999", 0, 1_000]] as const
  ) {
    const response = await ask({ Range: range });
    assertEquals(said(response, "Content-Range", "Content-Length"), [
      206,
      `bytes ${start}-${end - 1}/1000`,
      `${end - start}`,
    ]);
    assertBytes(await bytesOf(response), data.slice(start, end));
  }
  for (const range of ["bytes=1000-", "bytes=5000-6000", "bytes=-0"]) {
    assertEquals(said(await ask({ Range: range }), "Content-Range"), [416, "bytes */1000"]);
  }
  for (const range of ["bytes=5-1", "bytes=0-1,5-6", "pages=1-2", "bytes=a-b", "bytes=-"]) {
    const response = await ask({ Range: range });
    assertEquals(said(response, "Content-Range"), [200, null]);
    assertBytes(await bytesOf(response), data);
  }
  const stored = Math.floor(mtime.getTime() / 1_000) * 1_000;
  for (
    const [ifRange, status] of [[`"${digest}"`, 206], [`W/"${digest}"`, 200], ['"other"', 200], [
      new Date(stored).toUTCString(),
      206,
    ], [new Date(stored - 5_000).toUTCString(), 200]] as const
  ) {
    const response = await ask({ Range: "bytes=0-9", "If-Range": ifRange });
    assertEquals([ifRange, response.status], [ifRange, status]);
    await response.body?.cancel();
  }
  assertEquals(said(await ask({ Range: "bytes=0-9" }, "HEAD"), "Content-Length"), [200, "1000"]);
});

Deno.test("ObjectBucket.respond says when nothing has changed", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("files");
  const { digest, mtime } = (await bucket.put("a.txt", "text"))!;
  const ask = (headers: HeadersInit) => bucket.respond(new Request(URL, { headers }), "a.txt");
  const [before, after] = [
    new Date(mtime.getTime() - 5_000).toUTCString(),
    new Date(mtime.getTime() + 5_000).toUTCString(),
  ];
  for (
    const [headers, status] of [
      [{ "If-None-Match": `"${digest}"` }, 304],
      [{ "If-None-Match": `"x", W/"${digest}"` }, 304],
      [{ "If-None-Match": "*" }, 304],
      [{ "If-None-Match": '"x"' }, 200],
      [{ "If-None-Match": '"x"', "If-Modified-Since": after }, 200],
      [{ "If-Modified-Since": after }, 304],
      [{ "If-Modified-Since": before }, 200],
      [{ "If-Modified-Since": "yesterday" }, 200],
    ] as [HeadersInit, number][]
  ) {
    const response = await ask(headers);
    assertEquals([headers, response.status], [headers, status]);
    assertEquals([response.headers.get("ETag"), await response.text()], [`"${digest}"`, status === 200 ? "text" : ""]);
  }
});

Deno.test("ObjectBucket.respond passes the stored headers on, but none that could split the answer", async () => {
  await using server = await ObjectServer.start();
  const official = await new Objm(server.nc).create("files");
  await official.putBlob({ name: "bad.html" }, new TextEncoder().encode("x"));
  const bucket = server.bucket("files");
  await bucket.put("a.html", "x", {
    headers: {
      "content-type": "text/plain",
      "Cache-Control": "no-store",
      "Content-Disposition": "attachment",
      "Set-Cookie": "a=b",
    },
  });
  const names = ["Content-Type", "Cache-Control", "Content-Disposition", "Set-Cookie", "X-Content-Type-Options"];
  const response = await bucket.respond(new Request(URL), "a.html");
  assertEquals(said(response, ...names), [200, "text/plain", "no-store", "attachment", null, "nosniff"]);
  await response.body?.cancel();
  await bucket.put("b.html", "x", {
    headers: { "Content-Type": "text/plain\r\nSet-Cookie: a=b", "Cache-Control": "😀" },
  });
  const other = await bucket.respond(new Request(URL), "b.html");
  assertEquals(said(other, ...names), [200, "text/html; charset=utf-8", null, null, null, "nosniff"]);
  await other.body?.cancel();
  assertEquals(await (await bucket.respond(new Request(URL), "bad.html")).text(), "x");
});

Deno.test("ObjectBucket.respond answers 404, 405 or 416, and 503 without a connection", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("files");
  assertEquals((await bucket.respond(new Request(URL), "none")).status, 404);
  await bucket.put("a", "x");
  assertEquals(said(await bucket.respond(new Request(URL, { method: "POST" }), "a"), "Allow"), [405, "GET, HEAD"]);
  await bucket.delete("a");
  assertEquals((await bucket.respond(new Request(URL), "a")).status, 404);
  await bucket.put("empty", "");
  assertEquals(said(await bucket.respond(new Request(URL), "empty"), "Content-Length"), [200, "0"]);
  assertEquals((await bucket.respond(new Request(URL, { headers: { Range: "bytes=0-" } }), "empty")).status, 416);
  await using none = new JetStreamStores({ env: () => undefined, logger: false });
  assertEquals(said(await none.objectBucket("files").respond(new Request(URL), "a"), "Retry-After"), [503, "1"]);
});

Deno.test("ObjectBucket.respond throws for a damaged object", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("files");
  const { nuid } = (await bucket.put("a", "right"))!;
  await server.api(`STREAM.PURGE.OBJ_files`, { filter: `$O.files.C.${nuid}` });
  await server.nc.request(`$O.files.C.${nuid}`, "wrong", { timeout: 10_000 });
  await assertRejects(() => bucket.respond(new Request(URL), "a"), JetStreamStoreError, "does not match");
});

Deno.test("ObjectBucket.respond serves a browser's and curl's resumed downloads over HTTP", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("files");
  const data = randomBytes(3_000_000);
  await bucket.put("large.bin", data);
  await using http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => bucket.respond(request, decodeURIComponent(new globalThis.URL(request.url).pathname.slice(1))),
  );
  const url = `http://127.0.0.1:${http.addr.port}/large.bin`;
  assertBytes(await bytesOf(await fetch(url)), data);
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, data.slice(0, 1_111_111));
  const curl = await new Deno.Command("curl", { args: ["-sS", "-C", "-", "-o", path, url], stderr: "piped" }).output()
    .catch(() => null);
  if (curl) {
    assert(curl.success, new TextDecoder().decode(curl.stderr));
    assertBytes(await Deno.readFile(path), data);
  }
  await Deno.remove(path);
});

Deno.test("parseRange and hasTag read headers as RFC 9110 has them", () => {
  assertEquals(parseRange("bytes = 1 - 2", 10), [1, 3]);
  assertEquals(parseRange("BYTES=3-", 10), [3, 10]);
  assertEquals([parseRange(null, 10), parseRange("", 10), parseRange("bytes=1-2-3", 10)], [null, null, null]);
  assertEquals([parseRange("bytes=0-", 0), parseRange("bytes=-1", 0)], ["unsatisfiable", "unsatisfiable"]);
  assertEquals([hasTag('"a,b"', '"a,b"'), hasTag('"a"', '"b"'), hasTag(null, '"a"')], [true, false, false]);
});
