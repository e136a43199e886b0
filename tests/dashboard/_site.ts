import { dashboard, type DashboardOptions } from "../../src/dashboard/mod.ts";
import { JetStreamStores } from "../../mod.ts";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** A dashboard over a private server, asked without a network. */
export interface TestSite extends AsyncDisposable {
  server: NatsServer;
  stores: JetStreamStores;
  handler: (request: Request) => Promise<Response>;
  /** The status and the text of a page. */
  get(path: string): Promise<{ status: number; text: string }>;
  /** Sends a form as the dashboard's own pages do. */
  post(path: string, fields?: Record<string, string>): Promise<Response>;
}

/** Text that is markup where it is not escaped. */
export const HOSTILE = `<script>globalThis.flag = 1</script><img src=x onerror="globalThis.flag = 1">"'&`;

/** Starts a server and makes a dashboard over it. */
export async function startSite(options: Omit<DashboardOptions, "stores"> = {}): Promise<TestSite> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const stores = stack.use(new JetStreamStores({ servers: server.url, connectTimeout: TIMEOUT_MS, logger: false }));
  const handler = dashboard({ logger: false, ...options, stores });
  const kept = stack.move();
  const url = (path: string) => `http://localhost${path}`;
  return {
    server,
    stores,
    handler,
    get: async (path) => {
      const response = await handler(new Request(url(path)));
      return { status: response.status, text: await response.text() };
    },
    post: (path, fields = {}) => {
      const headers = { origin: "http://localhost", "sec-fetch-site": "same-origin" };
      return handler(new Request(url(path), { method: "POST", headers, body: new URLSearchParams(fields) }));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Makes dead letters: one for each id, with its reason. */
export async function makeDeadLetters(
  stores: JetStreamStores,
  queue: string,
  reasons: Record<string, string>,
): Promise<void> {
  const jobs = stores.jobQueue(queue);
  for (const id of Object.keys(reasons)) await jobs.publish({ id }, { id, maxAttempts: 1 });
  const left = new Set(Object.keys(reasons));
  const all = Promise.withResolvers<void>();
  const listening = new AbortController();
  const following = (async () => {
    for await (const { type, id } of jobs.events({ signal: listening.signal })) {
      if (type === "dead" && left.delete(id) && left.size === 0) all.resolve();
    }
  })();
  const worker = jobs.consume((job) => {
    throw new Error(reasons[job.id]);
  }, { concurrency: 10 });
  await all.promise;
  listening.abort();
  await Promise.all([following, worker.stop()]);
}
