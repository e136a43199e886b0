/** An answer of a server's monitoring port. */
export interface MonitorAnswer {
  status: number;
  body: Record<string, unknown>;
}

/**
 * Asks the monitoring port of a nats-server on 127.0.0.1, e.g. for `/varz`; `null` when nobody answers in time.
 *
 * Plain HTTP/1.0 over a socket of its own: `fetch` would keep the connection after the server is gone and send the request
 * through a proxy named in the environment.
 */
export async function askMonitor(port: number, path: string, timeout = 2_000): Promise<MonitorAnswer | null> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeout);
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port, signal: abort.signal });
    await connection.write(new TextEncoder().encode(`GET ${path} HTTP/1.0\r\n\r\n`));
    const text = await readAll(connection, abort.signal);
    const [, status, body] = /^HTTP\/1\.. (\d+)[^]*?\r\n\r\n([^]*)$/.exec(text) ?? [];
    return status ? { status: Number(status), body: JSON.parse(body) } : null;
  } catch (error) {
    if (isUnanswered(error)) return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function readAll(connection: Deno.TcpConn, signal: AbortSignal): Promise<string> {
  const silence = Promise.withResolvers<null>();
  const giveUp = () => silence.resolve(null);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(16_384);
    let text = "";
    for (;;) {
      const read = await Promise.race([connection.read(buffer), silence.promise]);
      if (read === null) return text;
      text += decoder.decode(buffer.subarray(0, read), { stream: true });
    }
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** Whether this is what starting, stopped and dying servers do to those who ask them. */
function isUnanswered(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe || error instanceof SyntaxError ||
    (error instanceof DOMException && error.name === "AbortError");
}
