import type { Context, Hono } from "hono";
import { html } from "hono/html";
import type { ObjectInfo } from "../object/format/object_info.ts";
import { ask } from "./ask.ts";
import { change, changeLink, doneNote } from "./confirm.ts";
import { amount, counted, excerpt, moment, size, span } from "./figures.ts";
import { bucketOf, sendBucketList } from "./bucket_list.ts";
import { fileResponse } from "./file_response.ts";
import { card, missingPage, nothing, send, table } from "./page.ts";
import { path, query, type Site } from "./site.ts";

/** Objects that a page shows at most, and that a search looks at. */
const SHOWN = { objects: 200, searched: 5_000 };

/** The object buckets, their objects with size and age, and downloads. */
export function objectPages(app: Hono, site: Site): void {
  app.get("/objects", (context) => bucketsPage(context, site));
  app.get("/objects/:bucket", (context) => bucketPage(context, site));
  app.get("/objects/:bucket/download", (context) => download(context, site));
  change(app, "/objects/:bucket/delete", site, async (context) => {
    const [bucket, name] = [bucketOf(context), context.req.query("name") ?? ""];
    const info = name === "" ? null : await ask(site.stores, () => site.stores.objectBucket(bucket).info(name));
    return info && {
      title: `Delete ${name}`,
      current: "Objects",
      what: html`Deletes 1 object of ${size(info.size)} of the bucket ${bucket}.`,
      button: "Delete 1 object",
      danger: true,
      fields: html`<input type="hidden" name="name" value="${name}">`,
      back: path(site, "objects", bucket),
    };
  }, async (context, form) => {
    const deleted = await site.stores.objectBucket(bucketOf(context)).delete(String(form.get("name")));
    return deleted === null ? null : { kind: "deleted", count: Number(deleted) };
  });
}

function bucketsPage(context: Context, site: Site): Promise<Response> {
  return sendBucketList(context, site, {
    current: "Objects",
    part: "objects",
    names: site.stores.objectBuckets(),
    status: (name) => ask(site.stores, () => site.stores.objectBucket(name).status()),
    columns: [],
  });
}

async function bucketPage(context: Context, site: Site): Promise<Response> {
  const bucketName = bucketOf(context);
  const bucket = site.stores.objectBucket(bucketName);
  if (!await ask(site.stores, () => bucket.status())) return await missingPage(context, site);
  const search = (context.req.query("q") ?? "").toLowerCase();
  const infos: ObjectInfo[] = [];
  let looked = 0;
  for await (const info of bucket.list()) {
    if (info.name.toLowerCase().includes(search)) infos.push(info);
    if (infos.length === SHOWN.objects || ++looked === SHOWN.searched) break;
  }
  const here = path(site, "objects", bucketName);
  const rows = infos.sort((a, b) => a.name.localeCompare(b.name)).map(({ name, size: bytes, mtime, digest }) =>
    html`
      <tr>
        <td class="long"><a href="${query(`${here}/download`, { name })}" title="Download">${excerpt(
          name,
          200,
        )}</a></td>
        <td class="n">${size(bytes)}</td>
        <td class="n">${span(Date.now() - mtime.getTime())}</td>
        <td class="n wide">${moment(mtime)}</td>
        <td class="n wide">${excerpt(digest.replace("SHA-256=", ""), 14)}</td>
        <td>${changeLink(site, `${here}/delete`, "Delete …", "danger", { name })}</td>
      </tr>
    `
  );
  const find = html`
    <form
      class="row end"><input type="search" name="q" value="${search}" aria-label="Search names" placeholder="Part of a name"><button>Search</button></form>
  `;
  const rowsTable = table(
    "Objects",
    [["Object"], ["Size"], ["Age"], ["Stored", "wide"], ["SHA-256", "wide"], [""]],
    rows,
  );
  const more = infos.length === SHOWN.objects
    ? `the first ${amount(SHOWN.objects)}: narrow them by a search`
    : looked === SHOWN.searched
    ? `of the first ${amount(SHOWN.searched)} objects: the rest was not searched`
    : "";
  const content = rows.length > 0 ? rowsTable : nothing("No objects.");
  const body = [doneNote(context), find, card("objects", counted(infos.length, "object"), content, more)];
  return await send(context, site, { title: bucketName, current: "Objects", body });
}

async function download(context: Context, site: Site): Promise<Response> {
  const bucket = site.stores.objectBucket(bucketOf(context));
  const name = context.req.query("name") ?? "";
  const info = name === "" ? null : await ask(site.stores, () => bucket.info(name));
  const stream = info && await ask(site.stores, () => bucket.getStream(name));
  if (!info || !stream) return await missingPage(context, site);
  return fileResponse(name, stream, info.link === undefined ? info.size : undefined);
}
