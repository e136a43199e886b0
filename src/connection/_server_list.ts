import { type ConfiguredServer, serverUrl } from "./_server_url.ts";

const COMMA =
  "has a user or password but no scheme: begin each server with nats://, and write a comma in a user or password as %2C";

/**
 * Parses a list of servers: an array, or text with commas between them.
 *
 * @param called What the list is called in messages.
 * @throws {RangeError} If one of them is malformed, or there is none. The message shows nothing of the list: a misplaced character can turn any
 * part of a URL into a part of the password.
 */
export function serverList(written: string | string[], called: string): ConfiguredServer[] {
  const isText = typeof written === "string";
  const texts = (isText ? written.split(",") : written).map((text) => text.trim()).filter(Boolean);
  if (texts.length === 0) {
    throw new RangeError(`Cannot connect as ${called} must name at least one server: it is empty`);
  }
  const malformed = (i: number, problem: string) =>
    new RangeError(
      `Cannot connect as each of ${called} must look like nats://host:port (or tls://, ws://, wss://): ` +
        `number ${i + 1} of ${texts.length} ${problem} (the value is not shown, as it may hold a password)`,
    );
  // Where the comma belongs to a password, the rest of it begins the next part of the text.
  const continued = texts.findIndex((text, i) => isText && i > 0 && text.includes("@") && !text.includes("://"));
  if (continued >= 0) throw malformed(continued, COMMA);
  const servers = texts.map((text, i) => {
    const server = serverUrl(text);
    if (typeof server !== "string") return server;
    throw malformed(i, server);
  });
  const websockets = servers.filter(({ websocket }) => websocket).length;
  if (websockets === 0 || websockets === servers.length) return servers;
  throw new RangeError(
    `Cannot connect as ${called} must not mix websocket (ws://, wss://) and plain (nats://, tls://) servers`,
  );
}
