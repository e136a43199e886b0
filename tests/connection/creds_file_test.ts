import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { makeCredentials } from "../_support/make_credentials.ts";
import { CollectedLog } from "../_support/collected_log.ts";

const { auth, creds } = await makeCredentials();
const text = new TextDecoder().decode(creds).trim();
const [jwt, seed] = text.split("\n").filter((line) => /^[A-Za-z0-9._-]{40,}$/.test(line));

function utf16(text: string, littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * text.length));
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), littleEndian);
  return new Uint8Array(view.buffer);
}

const WELL_FORMED: Record<string, string | Uint8Array> = {
  "no last newline": text,
  "CRLF": text.replaceAll("\n", "\r\n"),
  "CR": text.replaceAll("\n", "\r"),
  "a byte order mark": `\ufeff${text}\n`,
  "UTF-16": utf16(`\ufeff${text}\r\n`, true),
  "UTF-16, big-endian": utf16(`\ufeff${text}\r\n`, false),
  "blank lines and spaces": `\n \n${text.replaceAll("\n", " \n\n\t")}\n\n`,
  "nothing but the two parts": `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n` +
    `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------`,
  "a JWT over several lines": text.replace(jwt, `${jwt.slice(0, 64)}\n${jwt.slice(64)}`),
  "a last line that is missing": text.replace(/\n-+END USER NKEY SEED-+[^]*$/, ""),
};

Deno.test("a .creds file lets in with any line ends, byte order mark, encoding and blank lines", async () => {
  await using server = await startNatsServer({ auth });
  const directory = await Deno.makeTempDir();
  const path = `${directory}/C:\\Users\\ann, bob\\my file.creds`;
  for (const [has, content] of Object.entries(WELL_FORMED)) {
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({ servers: server.url, creds: path, connectTimeout: 30_000, logger });
    const info = await stores.connect().catch((error) => error);
    assertEquals(info?.serverName, server.name, `${has}: ${info}`);
  }
  await Deno.remove(directory, { recursive: true });
});

const MALFORMED: Record<string, string> = {
  "nothing": "",
  "the JWT only": text.slice(0, text.indexOf("*****")),
  "the bare JWT": jwt,
  "the bare seed": seed,
  "a seed that was cut": text.replace(seed, seed.slice(0, -1)),
  "the parts the wrong way round": text.replace(jwt, "x").replace(seed, jwt).replace("x", seed),
  "a JWT that is none": text.replace(jwt, jwt.replaceAll(".", "")),
  "binary": String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i)) + seed,
};

Deno.test("a malformed .creds file is an error 'auth' that names the file and shows nothing of its content", async () => {
  const path = await Deno.makeTempFile({ suffix: ".creds" });
  for (const [has, content] of Object.entries(MALFORMED)) {
    await Deno.writeTextFile(path, content);
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({ servers: "127.0.0.1:1", creds: path, logger });
    const error = await assertRejects(() => stores.connect(), JetStreamStoreError);
    const message = `The file ${path} holds no NATS credentials (a JWT and the seed of its user)`;
    assertEquals([has, error.code, error.message, error.cause], [has, "auth", message, undefined]);
    assertEquals(logger.lines.length, 1);
  }
  await Deno.remove(path);
});

Deno.test("the content of a file in place of its path is a RangeError that does not show it", async () => {
  const contents = [text, jwt, seed, btoa(text), "-----BEGIN PRIVATE KEY-----\nx", "x".repeat(5_000)];
  for (const content of contents) {
    for (const options of [{ creds: content }, { tls: { ca: content } }, { tls: { cert: content, key: content } }]) {
      const made = () => new JetStreamStores({ servers: "127.0.0.1:1", ...options });
      const error = await assertRejects(async () => await made().connect(), RangeError);
      assertEquals(
        error.message.replace(/'[\w.]+'/, "'x'"),
        "Cannot connect as 'x' must be the path of a file, not its content: the current value is not shown",
      );
    }
    for (const name of ["SUPERCHECK_NATS_CREDS", "SUPERCHECK_NATS_TLS_CA"]) {
      const variables: Record<string, string> = { SUPERCHECK_NATS_URL: "127.0.0.1:1", [name]: content };
      await using stores = new JetStreamStores({ env: (name) => variables[name], logger: new CollectedLog() });
      const error = await assertRejects(() => stores.connect(), RangeError, "not its content");
      assertEquals(error.message.includes(name), true);
    }
  }
});
