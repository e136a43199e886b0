import type { Context } from "hono";

/** The job that a path names. */
export function idOf(context: Context): string {
  return context.req.param("id") ?? "";
}

/** The data of a job, as JSON. */
export function json(data: unknown, indent?: number): string {
  return data === undefined ? "not JSON" : JSON.stringify(data, null, indent);
}
