import type { Context } from "hono";
import { html } from "hono/html";
import type { BucketStatus } from "../bucket/bucket_status.ts";
import { counted, size, span } from "./figures.ts";
import { card, type Markup, nothing, type Page, pager, send, table } from "./page.ts";
import { path, type Site } from "./site.ts";

/** Buckets on one page, and names that are read at most. */
const SHOWN = { page: 100, names: 10_000 };

/** The buckets of a kind. */
export interface BucketList<S extends BucketStatus> {
  current: Page["current"];
  /** First part of the path of a bucket. */
  part: string;
  names: AsyncIterable<string>;
  status(name: string): Promise<S | null>;
  /** Columns beside those that all buckets have. */
  columns: { title: string; cell(status: S): Markup | string }[];
}

/** Sends the list of the buckets of a kind, by page. */
export async function sendBucketList<S extends BucketStatus>(
  context: Context,
  site: Site,
  { current, part, names, status, columns }: BucketList<S>,
): Promise<Response> {
  const all: string[] = [];
  for await (const name of names) if (all.push(name) === SHOWN.names) break;
  const { from, links } = pager(context, path(site, part), all.length, SHOWN.page);
  const statuses = await Promise.all(all.sort().slice(from, from + SHOWN.page).map(status));
  const rows = statuses.filter((status) => status !== null).map((status) =>
    html`
      <tr>
        <td><a href="${path(site, part, status.bucket)}">${status.bucket}</a></td>
        <td class="n">${size(status.bytes)}</td>
        ${columns.map(({ cell }) => html`<td class="n wide">${cell(status)}</td>`)}
        <td class="n wide">${status.ttl === 0 ? "–" : span(status.ttl)}</td>
        <td class="n wide">${status.replicas}</td>
        <td class="long wide">${status.description}</td>
      </tr>
    `
  );
  const own = columns.map(({ title }): [string, string] => [title, "wide"]);
  const list = table(
    "Buckets",
    [["Bucket"], ["Size"], ...own, ["TTL", "wide"], ["Replicas", "wide"], ["For", "text wide"]],
    rows,
  );
  const content = rows.length > 0 ? html`${list}${links}` : nothing("No buckets.");
  return await send(context, site, {
    title: current,
    current,
    body: card("buckets", counted(all.length, "bucket"), content),
  });
}

/** The name of the bucket that a request is about. */
export function bucketOf(context: Context): string {
  return context.req.param("bucket") ?? "";
}
