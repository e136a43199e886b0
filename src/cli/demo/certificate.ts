import { connect } from "node:tls";

/** When the certificate of an `https:` URL expires, trusted or not; `null` if the server shows none in time. */
export async function certificateExpiry(url: URL, signal: AbortSignal): Promise<Date | null> {
  if (signal.aborted) return null;
  const { promise, resolve } = Promise.withResolvers<Date | null>();
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const socket = connect({
    host,
    port: Number(url.port || 443),
    // An address is no name that could be asked for.
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    // It is shown because it may be a bad one; nothing is sent.
    rejectUnauthorized: false,
  });
  const giveUp = () => resolve(null);
  socket.once("secureConnect", () => {
    const expires = new Date(socket.getPeerCertificate()?.valid_to ?? NaN);
    resolve(Number.isNaN(expires.getTime()) ? null : expires);
  });
  socket.on("error", giveUp);
  socket.once("close", giveUp);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", giveUp);
    socket.destroy();
  }
}
