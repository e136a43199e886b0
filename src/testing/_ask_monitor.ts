/**
 * Asks the monitoring port of a nats-server on 127.0.0.1, e.g. for `/varz`; `null` without an answer in time (in milliseconds).
 *
 * Plain HTTP/1.0 over a socket of its own: `fetch` would keep the connection after the server is gone, and would send the request
 * through a proxy that the environment names.
 */
export async function askMonitor(
  port: number,
  path: string,
  timeout: number,
): Promise<Record<string, unknown> | null> {
  const tooLate = Promise.withResolvers<null>();
  const timer = setTimeout(tooLate.resolve, timeout, null);
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode(`GET ${path} HTTP/1.0\r\n\r\n`));
    const answer = await readAll(connection, tooLate.promise);
    return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")));
  } catch (error) {
    if (isNoAnswer(error)) return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function readAll(connection: Deno.TcpConn, tooLate: Promise<null>): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(16_384);
  let text = "";
  for (;;) {
    const length = await Promise.race([connection.read(buffer), tooLate]);
    if (length === null) return text;
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
}

/** Whether this is what servers that start, are gone or die do to those who ask them; a broken answer is no JSON. */
function isNoAnswer(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.BrokenPipe ||
    error instanceof SyntaxError;
}
