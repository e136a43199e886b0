// Moves money between random accounts by transactions, until it is killed; prints "moved" after each twenty.
import { accountName, ACCOUNTS } from "./_bank_accounts.ts";
import { KvStores } from "../_support/kv_stores.ts";

const [urls] = Deno.args;
await using stores = new KvStores({ servers: urls.split(",") });
const bank = stores.kvBucket("bank");
for (let moved = 0;;) {
  const [from, to] = [Math.floor(Math.random() * ACCOUNTS), Math.floor(Math.random() * (ACCOUNTS - 1))];
  const names = [accountName(from), accountName(to < from ? to : to + 1)];
  const [one, other] = await Promise.all(names.map((name) => bank.get(name)));
  if (!one || !other) continue;
  const amount = Math.ceil(Math.random() * 10);
  const result = await bank.atomic()
    .check(one.key, one.revision).put(one.key, `${Number(one.text()) - amount}`)
    .check(other.key, other.revision).put(other.key, `${Number(other.text()) + amount}`)
    .commit();
  if (result?.ok && ++moved % 20 === 0) console.log("moved");
}
