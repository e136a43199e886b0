import { assert, assertEquals } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import type { KvBucket } from "../../mod.ts";
import { type ScriptProcess, startProcess } from "../_support/start_process.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { accountName, ACCOUNTS } from "./_bank_accounts.ts";
import { KvStores } from "../_support/kv_stores.ts";

const NAMES = Array.from({ length: ACCOUNTS }, (_, i) => accountName(i));
const TOTAL = 1_000 * ACCOUNTS;

/** Reads snapshots until it is stopped, each of which must have all the money; counts them. */
class Auditor {
  snapshots = 0;
  /** Sums that were not the total. */
  readonly wrong: number[] = [];
  readonly #done: Promise<void>;
  #isStopped = false;

  constructor(bank: KvBucket) {
    this.#done = this.#audit(bank);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #audit(bank: KvBucket): Promise<void> {
    while (!this.#isStopped) {
      const accounts = await bank.getMany(NAMES, { snapshot: true });
      if (!accounts) continue;
      const sum = [...accounts.values()].reduce((sum, entry) => sum + Number(entry.text()), 0);
      this.snapshots++;
      if (sum !== TOTAL || accounts.size !== ACCOUNTS) this.wrong.push(sum);
    }
  }
}

/** Opens the accounts, each with the same money. */
async function openAccounts(bank: KvBucket): Promise<void> {
  const opening = bank.atomic();
  for (const name of NAMES) opening.check(name, null).put(name, "1000");
  assertEquals((await opening.commit())?.ok, true);
}

const startTeller = (urls: string) => startProcess(new URL("./_bank_teller.ts", import.meta.url), urls);

Deno.test("KvTransaction and snapshots keep the sum of a bank whose tellers are killed", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bank = stores.kvBucket("bank");
  await openAccounts(bank);
  const auditor = new Auditor(bank);
  const tellers = Array.from({ length: 4 }, () => startTeller(server.url));
  for (let round = 0; round < 3; round++) {
    await Promise.all(tellers.map((teller) => teller.nextLine()));
    await tellers[round].kill();
    tellers[round] = startTeller(server.url);
  }
  await waitUntil(() => auditor.snapshots >= 100);
  await Promise.all(tellers.map((teller) => teller.kill()));
  await auditor.stop();
  assertEquals(auditor.wrong, []);
});

Deno.test("KvTransaction and snapshots keep the sum of a bank on three replicas whose leader and tellers are killed", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using stores = new KvStores({ servers: cluster.urls, timeout: 10_000 });
  const bank = stores.kvBucket("bank", { replicas: 3 });
  await openAccounts(bank);
  const auditor = new Auditor(bank);
  const urls = cluster.urls.join(",");
  const tellers: ScriptProcess[] = Array.from({ length: 8 }, () => startTeller(urls));
  for (let round = 0; round < 3; round++) {
    await Promise.all(tellers.map((teller) => teller.nextLine()));
    await tellers[round].kill();
    tellers[round] = startTeller(urls);
    const { cluster: { leader } } = await stores.api<{ cluster: { leader: string } }>("STREAM.INFO.KV_bank");
    const killed = cluster.servers.find(({ name }) => name === leader)!;
    await killed.kill();
    await Promise.all(tellers.slice(4).map((teller) => teller.nextLine()));
    await killed.restart();
  }
  await waitUntil(() => auditor.snapshots >= 50, 60_000);
  await Promise.all(tellers.map((teller) => teller.kill()));
  await auditor.stop();
  assertEquals(auditor.wrong, []);
  assert(auditor.snapshots > 0);
});
