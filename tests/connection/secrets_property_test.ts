import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type ConnectOptions, JetStreamStores } from "../../mod.ts";
import { shown } from "./_shown.ts";
import { CollectedLog } from "../_support/collected_log.ts";

/** Letters and digits that are in no message by chance, and characters that mean something in a URL, a list or a message. */
const characters = fc.constantFrom(..."QXZJKVW78QXZJKVW78QXZJKVW78,@#%:/?\\[]&=+\"' \t\n-é");
const secrets = fc.array(characters, { minLength: 4, maxLength: 24 }).map((text) => text.join("").trim());

const SCHEMES = ["", "nats://", "tls://", "ws://", "wss://", "http://", "nats:", "nats:/", "//"];

/** URLs and lists with the secret in them as it is, or percent-encoded, well formed or not. */
const servers = (secret: string) =>
  fc.record({
    scheme: fc.constantFrom(...SCHEMES),
    user: fc.constantFrom("", "u:", ":"),
    written: fc.constantFrom(secret, encodeURIComponent(secret), encodeURI(secret)),
    host: fc.constantFrom("127.0.0.1:1", "[::1]:1", "127.0.0.1:x", "127.0.0.1:99999", "", "127.0.0.1:1/path"),
    before: fc.constantFrom("", "127.0.0.1:1,", "nats://127.0.0.1:1,", "ws://127.0.0.1:1,"),
    after: fc.constantFrom("", ",127.0.0.1:1", ",nats://v:w@127.0.0.1:1"),
  }).map(({ scheme, user, written, host, before, after }) => `${before}${scheme}${user}${written}@${host}${after}`);

const HOST = "127.0.0.1:1";

/** Options that hold a secret, together with it. */
const options: fc.Arbitrary<[ConnectOptions, string]> = secrets.chain((secret) =>
  fc.oneof(
    servers(secret).map((servers): ConnectOptions => ({ servers })),
    servers(secret).map((server): ConnectOptions => ({ servers: [server] })),
    fc.constantFrom<ConnectOptions>(
      { servers: HOST, token: secret },
      { servers: HOST, user: secret },
      { servers: HOST, user: "u", password: secret },
      { servers: HOST, nkeySeed: secret },
      { servers: HOST, nkeySeed: `SU${secret}` },
      { servers: HOST, creds: `-----BEGIN NATS USER JWT-----\n${secret}` },
      { servers: HOST, tls: { ca: `-----BEGIN CERTIFICATE-----\n${secret}` } },
      { servers: HOST, password: { secret } as never },
      { servers: HOST, token: [secret] as never },
    ),
  ).map((options) => [options, secret])
);

/** The parts of a secret that tell something of it. */
function partsOf(secret: string): string[] {
  const parts: string[] = [];
  for (const text of [secret, encodeURIComponent(secret)]) {
    for (let i = 0; i + 4 <= text.length; i++) parts.push(text.slice(i, i + 4).toLowerCase());
  }
  return parts.filter((part) => (part.match(/[qxzjkvw78]/g) ?? []).length > 1);
}

async function seenOf(options: ConnectOptions, byEnvironment: boolean): Promise<string> {
  const logger = new CollectedLog();
  const seen: unknown[] = [];
  const { servers, token, user, password, nkeySeed } = options;
  const variables: Record<string, unknown> = {
    SUPERCHECK_NATS_URL: servers,
    SUPERCHECK_NATS_TOKEN: token,
    SUPERCHECK_NATS_USER: user,
    SUPERCHECK_NATS_PASSWORD: password,
    SUPERCHECK_NATS_NKEY_SEED: nkeySeed,
  };
  const given = byEnvironment ? { env: (name: string) => variables[name] as string } : options;
  try {
    await using stores = new JetStreamStores({ ...given, connectTimeout: 200, logger });
    seen.push(await stores.connect().catch((error) => error));
    seen.push(await stores.loadKV("k").catch((error) => error), stores.connectionInfo(), stores);
  } catch (error) {
    seen.push(error);
  }
  // Where the code stands says nothing of a secret, and can share some characters with one.
  return [...seen, logger.lines].map(shown).join("\n").toLowerCase().replace(/\bat [^\n]*\.[jt]s:\d+:\d+\)?/g, "");
}

Deno.test("no part of a secret is shown, however the options or the variables that hold it are malformed", async () => {
  await fc.assert(
    fc.asyncProperty(options, fc.boolean(), async ([options, secret], byEnvironment) => {
      const isText = (value: unknown) => value === undefined || typeof value === "string";
      const hasTexts = [options.servers, options.token, options.password].every(isText);
      const seen = await seenOf(options, byEnvironment && hasTexts);
      assertEquals(partsOf(secret).filter((part) => seen.includes(part)), [], seen);
    }),
    { numRuns: 500 },
  );
});
