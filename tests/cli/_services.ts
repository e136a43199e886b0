/** A service that answers 200 to `/up` and 503 to anything else. */
export function startService(tls: { cert: string; key: string } | Record<never, never> = {}) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls },
    ({ url }) =>
      new URL(url).pathname === "/up"
        ? new Response("<title>All is\x1b[31m well</title>", { headers: { "content-type": "text/html" } })
        : new Response("no database", { status: 503 }),
  );
  return {
    url: `${"cert" in tls ? "https" : "http"}://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
