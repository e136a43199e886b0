import type { Context, Hono } from "hono";
import { html } from "hono/html";
import type { KvEntry } from "../kv/kv_entry.ts";
import { ask } from "./ask.ts";
import { change, changeLink, doneNote } from "./confirm.ts";
import { amount, counted, excerpt, moment, size } from "./figures.ts";
import { bucketOf, sendBucketList } from "./bucket_list.ts";
import { fileResponse } from "./file_response.ts";
import { card, type Markup, missingPage, nothing, send, table } from "./page.ts";
import { path, query, type Site } from "./site.ts";

/** Keys and revisions that a page shows at most, and characters of a value. */
const SHOWN = { keys: 200, revisions: 64, value: 100_000 };

/** The key-value buckets, their keys by prefix, and a key with its history. */
export function valuePages(app: Hono, site: Site): void {
  app.get("/values", (context) => bucketsPage(context, site));
  app.get("/values/:bucket", (context) => bucketPage(context, site));
  app.get("/values/:bucket/key", (context) => keyPage(context, site));
  app.get("/values/:bucket/download", (context) => download(context, site));
  change(app, "/values/:bucket/delete", site, async (context) => {
    const [bucket, key] = [bucketOf(context), context.req.query("key") ?? ""];
    if (key === "" || !await ask(site.stores, () => site.stores.kvBucket(bucket).get(key))) return null;
    return {
      title: `Delete ${key}`,
      current: "Values",
      what: html`Deletes 1 key of the bucket ${bucket}. Its older revisions stay where the bucket keeps them.`,
      button: "Delete 1 key",
      danger: true,
      fields: html`<input type="hidden" name="key" value="${key}">`,
      back: path(site, "values", bucket),
    };
  }, async (context, form) => {
    const deleted = await site.stores.kvBucket(bucketOf(context)).delete(String(form.get("key")));
    return deleted && { kind: "deleted", count: 1 };
  });
}

function bucketsPage(context: Context, site: Site): Promise<Response> {
  return sendBucketList(context, site, {
    current: "Values",
    part: "values",
    names: site.stores.kvBuckets(),
    status: (name) => ask(site.stores, () => site.stores.kvBucket(name).status()),
    columns: [
      { title: "Messages", cell: ({ values }) => amount(values) },
      { title: "History", cell: ({ history }) => amount(history) },
    ],
  });
}

async function bucketPage(context: Context, site: Site): Promise<Response> {
  const name = bucketOf(context);
  const bucket = site.stores.kvBucket(name);
  if (!await ask(site.stores, () => bucket.status())) return await missingPage(context, site);
  const prefix = (context.req.query("prefix") ?? "").replace(/[.*>]+$/, "");
  const keys: string[] = [];
  const filter = prefix === "" ? ">" : `${prefix}.>`;
  for await (const key of bucket.keys(filter)) if (keys.push(key) === SHOWN.keys) break;
  const here = path(site, "values", name);
  const rows = keys.sort().map((key) =>
    html`
      <tr>
        <td class="long"><a href="${query(`${here}/key`, { key })}">${excerpt(key, 200)}</a></td>
        <td>${key.includes(".")
          ? html`<a href="${query(here, { prefix: key.slice(0, key.lastIndexOf(".")) })}">its prefix</a>`
          : ""}</td>
      </tr>
    `
  );
  const find = html`
    <form
      class="row end"><input type="search" name="prefix" value="${prefix}" aria-label="Prefix: whole words between dots" placeholder="Prefix, e.g. plans.eu"><button>Show</button></form>
  `;
  const content = rows.length > 0 ? table("Keys", [["Key"], ["Prefix"]], rows) : nothing("No keys.");
  const more = keys.length === SHOWN.keys ? `the first ${SHOWN.keys}: narrow them by a prefix` : "";
  const body = [doneNote(context), find, card("keys", counted(keys.length, "key"), content, more)];
  return await send(context, site, { title: name, current: "Values", body });
}

async function keyPage(context: Context, site: Site): Promise<Response> {
  const [name, key] = [bucketOf(context), context.req.query("key") ?? ""];
  const bucket = site.stores.kvBucket(name);
  const entry = key === "" ? null : await ask(site.stores, () => bucket.get(key));
  if (!entry) return await missingPage(context, site);
  const revisions: KvEntry[] = [];
  for await (const revision of bucket.history(key)) if (revisions.push(revision) === SHOWN.revisions) break;
  const rows = revisions.reverse().map((entry) =>
    html`
      <tr>
        <td class="n">${amount(entry.revision)}</td>
        <td class="text">${entry.operation}</td>
        <td class="n">${moment(entry.created)}</td>
        <td class="n">${size(entry.value.length)}</td>
        <td class="long">${excerpt(entry.text(), 120)}</td>
      </tr>
    `
  );
  const rowsTable = table(
    "Revisions",
    [["Revision"], ["Operation", "text"], ["Stored"], ["Size"], ["Value", "text"]],
    rows,
  );
  const body = [
    html`
      <div
        class="row"><a href="${path(
          site,
          "values",
          name,
        )}">${name}</a><span class="grow"></span><a class="button" href="${query(
          `${path(site, "values", name)}/download`,
          { key },
        )}">Download</a>${changeLink(site, `${path(site, "values", name)}/delete`, "Delete …", "danger", { key })}</div>
    `,
    card("value", `Value, ${size(entry.value.length)}`, valueMarkup(entry)),
    card("history", counted(rows.length, "revision"), rowsTable, "newest first"),
  ];
  return await send(context, site, { title: key, current: "Values", body });
}

function valueMarkup(entry: KvEntry): Markup {
  const text = entry.text();
  const shown = html`<pre tabindex="0">${text.slice(0, SHOWN.value)}</pre>`;
  if (text.length <= SHOWN.value) return shown;
  return html`${shown}<p class="note">The first ${amount(SHOWN.value)} characters: a download has all.</p>`;
}

async function download(context: Context, site: Site): Promise<Response> {
  const key = context.req.query("key") ?? "";
  const entry = key === "" ? null : await ask(site.stores, () => site.stores.kvBucket(bucketOf(context)).get(key));
  if (!entry) return await missingPage(context, site);
  return fileResponse(key, new Uint8Array(entry.value), entry.value.length);
}
