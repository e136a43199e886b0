import {
  createAccount,
  createOperator,
  createUser,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
} from "npm:@nats-io/jwt@0.0.11";
import type { NatsServerAuth } from "../../src/testing/mod.ts";

/** An operator with one account and one user. */
export interface Credentials {
  /** For `startNatsServer({ auth })`. */
  auth: NatsServerAuth;
  /** The content of the user's `.creds` file. */
  creds: Uint8Array;
}

/** Makes an operator, an account with JetStream and a user in it. */
export async function makeCredentials(): Promise<Credentials> {
  const operator = createOperator();
  const system = createAccount();
  const account = createAccount();
  const user = createUser();
  const limits = { conn: -1, subs: -1, payload: -1, data: -1, imports: -1, exports: -1, wildcards: true, leaf: -1 };
  const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  return {
    auth: {
      operator: await encodeOperator("test", operator, { system_account: system.getPublicKey() }),
      accounts: {
        [system.getPublicKey()]: await encodeAccount("system", system, { limits }, { signer: operator }),
        [account.getPublicKey()]: await encodeAccount("account", account, { limits: { ...limits, ...jetstream } }, {
          signer: operator,
        }),
      },
      systemAccount: system.getPublicKey(),
    },
    creds: fmtCreds(await encodeUser("user", user, account), user),
  };
}
