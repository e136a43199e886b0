import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { ForeignClient } from "../_support/foreign_client.ts";
import { QueueStores } from "../_support/queue_stores.ts";
import { Proxy } from "../_support/proxy.ts";
import { complaints } from "../_support/use_everything.ts";
import { type Names, prepare, ROLES, TIMEOUT } from "./_roles.ts";

const test = testFrom("2.14");

/** Users who do their work at the same time. */
const AT_ONCE = 4;

interface Rights {
  publish: string[];
  subscribe: string[];
}

interface RoleServer extends AsyncDisposable {
  url: string;
  owner: QueueStores;
  client: ForeignClient;
}

/** The table of roles in `src/connection/README.md`, with `<bucket>` and `<queue>` for the names. */
async function rightsOfRoles(): Promise<Map<string, Rights>> {
  const readme = await Deno.readTextFile(new URL("../../src/connection/README.md", import.meta.url));
  const table = readme.slice(readme.indexOf("| role ")).split("\n\n")[0].trim();
  const rows = table.split("\n").slice(2).map((row) => row.split("|").map((cell) => cell.trim()));
  const subjects = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, subject]) => subject);
  return new Map(
    rows.map(([, role, publish, subscribe]) => [role, { publish: subjects(publish), subscribe: subjects(subscribe) }]),
  );
}

/** A user with some rights for a bucket and a queue of its own. */
interface RestrictedUser {
  user: string;
  names: Names;
  rights: Rights;
}

function restrictedUser({ publish, subscribe }: Rights, number = 0): RestrictedUser {
  const names = { bucket: `plans${number}`, queue: `mails${number}` };
  const fill = (text: string) => text.replaceAll("<bucket>", names.bucket).replaceAll("<queue>", names.queue);
  return { user: `ann${number}`, names, rights: { publish: publish.map(fill), subscribe: subscribe.map(fill) } };
}

/** Does the work of a role; gives what went wrong. */
async function failureOf(role: string, { user, names }: RestrictedUser, server: RoleServer, timeout: number) {
  const { url, owner, client } = server;
  // The first acknowledgement of a job is lost on its way.
  let lost = false;
  const drop = (_: string, payload: string) =>
    !lost && payload.includes(`"stream":"WQ_${names.queue}"`) && (lost = true);
  await using proxy = new Proxy(url, role.startsWith("producer") ? { drop } : {});
  await using stores = new QueueStores(proxy.url, { user, password: "x", timeout });
  if (!role.endsWith(" owner")) await prepare(owner, names);
  try {
    await ROLES[role]({ stores, owner, client, names, timeout });
  } catch (error) {
    return error instanceof Error ? error.stack : String(error);
  }
  return complaints(stores.log)[0] ?? null;
}

/** Starts a server with an owner of all, and with these users. */
async function startWith(users: RestrictedUser[], ackFormatV2: boolean): Promise<RoleServer> {
  const restricted = users.map(({ user, rights }) =>
    `{ user: ${user}, password: x, permissions: ${JSON.stringify(rights)} }`
  );
  const server = await startNatsServer({
    config: `feature_flags { js_ack_fc_v2: ${ackFormatV2} }
      authorization { users: [{ user: owner, password: x }, ${restricted}] }`,
  });
  const owner = new QueueStores(server.url, { user: "owner", password: "x" });
  const client = await ForeignClient.connect(server.url, { user: "owner", pass: "x" });
  return {
    url: server.url,
    owner,
    client,
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await owner.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Whether a subject is of the format that js_ack_fc_v2 brings. */
function isNewFormat(subject: string): boolean {
  return subject.startsWith("$JS.ACK.*.*.");
}

/** The rights without one line each, by that line. */
function reduced({ publish, subscribe }: Rights, ackFormatV2: boolean): [missing: string, Rights][] {
  // An empty list would allow everything.
  const without = (lines: string[], line: string) => ["nothing", ...lines.filter((other) => other !== line)];
  const reduced: [string, Rights][] = [
    ...publish.map((line): [string, Rights] => [line, { publish: without(publish, line), subscribe }]),
    ...subscribe.map((line): [string, Rights] => [line, { publish, subscribe: without(subscribe, line) }]),
  ];
  return reduced.filter(([missing]) => isNewFormat(missing) === ackFormatV2);
}

const roles = await rightsOfRoles();

Deno.test("the table of roles has the roles that are tested", () => {
  assertEquals([...roles.keys()], Object.keys(ROLES));
});

for (const [role, rights] of roles) {
  for (const ackFormatV2 of [false, true]) {
    const title = `with js_ack_fc_v2 ${ackFormatV2 ? "on" : "off"}`;
    test(`a ${role} needs no more rights than the table has, ${title}`, async () => {
      const user = restrictedUser(rights);
      await using server = await startWith([user], ackFormatV2);
      assertEquals(await failureOf(role, user, server, TIMEOUT), null);
    });

    const cases = reduced(rights, ackFormatV2);
    if (cases.length === 0) continue;
    test(`a ${role} needs each of the rights in the table, ${title}`, async () => {
      const all = restrictedUser(rights);
      const users = cases.map(([, rights], i) => restrictedUser(rights, i + 1));
      await using server = await startWith([all, ...users], ackFormatV2);
      const started = performance.now();
      assertEquals(await failureOf(role, all, server, TIMEOUT), null);
      // No single step takes as long as all of them with all rights.
      const timeout = Math.max(1_500, performance.now() - started);
      const needless: string[] = [];
      await Promise.all(Array.from({ length: AT_ONCE }, async (_, start) => {
        for (let i = start; i < cases.length; i += AT_ONCE) {
          if (await failureOf(role, users[i], server, timeout) === null) needless.push(cases[i][0]);
        }
      }));
      assertEquals(needless, []);
    });
  }
}
