import { assertEquals, assertRejects } from "@std/assert";
import {
  type Authenticator,
  credsAuthenticator,
  errors,
  nkeyAuthenticator,
  nkeys,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
  wsconnect,
} from "@nats-io/nats-core";
import { type NatsServerAuth, startNatsServer } from "../../src/testing/mod.ts";
import { makeCredentials } from "../_support/make_credentials.ts";

/** Starts a server with `auth` and looks that it takes the right clients, with JetStream, and refuses the wrong ones. */
async function assertAuth(auth: NatsServerAuth, right: Authenticator, wrong: Authenticator): Promise<void> {
  await using server = await startNatsServer({ auth, websocket: true });
  const servers = server.websocketUrl;
  const nc = await wsconnect({ servers, authenticator: right });
  const answer = (await nc.request("$JS.API.INFO", "", { timeout: 10_000 })).json<{ error?: unknown }>();
  await nc.close();
  assertEquals(answer.error, undefined);
  for (const authenticator of [wrong, undefined]) {
    await assertRejects(() => wsconnect({ servers, authenticator }), errors.AuthorizationError);
  }
}

Deno.test("startNatsServer asks for the token", async () => {
  const token = `"quoted" \\ and $ecret`;
  await assertAuth({ token }, tokenAuthenticator(token), tokenAuthenticator("another"));
});

Deno.test("startNatsServer asks for user and password", async () => {
  const auth = { user: "ann", password: "a b c" };
  await assertAuth(auth, usernamePasswordAuthenticator("ann", "a b c"), usernamePasswordAuthenticator("ann", "a"));
});

Deno.test("startNatsServer asks for the nkey", async () => {
  const [right, wrong] = [nkeys.createUser(), nkeys.createUser()];
  const auth = { nkey: right.getPublicKey() };
  await assertAuth(auth, nkeyAuthenticator(right.getSeed()), nkeyAuthenticator(wrong.getSeed()));
});

Deno.test("startNatsServer asks for credentials of its operator", async () => {
  const [right, wrong] = [await makeCredentials(), await makeCredentials()];
  await assertAuth(right.auth, credsAuthenticator(right.creds), credsAuthenticator(wrong.creds));
});
