import { assert, assertEquals, assertFalse, assertMatch, assertThrows } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../mod.ts";
import { dashboard } from "../../src/dashboard/mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { HOSTILE, makeDeadLetters, startSite } from "./_site.ts";

const test = testFrom("2.14");

test("dashboard shows queues, jobs, dead letters, health checks, values and objects", async () => {
  await using site = await startSite();
  const { stores, get } = site;
  await makeDeadLetters(stores, "mails", { a: "no mailbox", b: "no mailbox", c: "no route" });
  await stores.jobQueue("mails").publish({ to: "ann" }, { id: "waits" });
  await stores.jobQueue("mails").publish({ to: "bob" }, { id: "later", delay: 3_600_000 });
  await stores.jobQueue("mails").schedule("daily", { cron: "0 0 7 * * *", data: {} });
  await stores.storeHealthcheck("https://up.example.com/", '{"status":200}');
  await stores.storeHealthcheck("https://down.example.com/", '{"status":503}');
  await stores.kvBucket("plans", { history: 3 }).put("eu.basic", "9 euro");
  await stores.objectBucket("reports").put("november.txt", "all up");

  const shows = async (path: string, ...texts: string[]) => {
    const { status, text } = await get(path);
    assertEquals(status, 200, path);
    for (const wanted of texts) assert(text.includes(wanted), `${path} shows ${wanted}:\n${text}`);
  };
  // A page does not wait for long until all queues are counted.
  await waitUntil(async () => !(await get("/")).text.includes("counting"));
  await shows("/", "mails", "3 dead letters", "1 of 2", "https://down.example.com/", "is down", "Connected");
  await shows("/queues", "mails");
  await shows("/queues?q=nothing", "No queues.");
  await shows("/queues/mails", "waits", "daily", "Pause …");
  await shows("/queues/mails?kind=delayed", "later");
  await shows("/queues/mails/jobs/waits", "ann", "waiting", "Cancel …");
  await shows("/queues/mails/jobs/a", "no mailbox", "Redrive …");
  await shows("/queues/mails/dead", "no mailbox", "Redrive 2 …", "Redrive 1 …", "Redrive all 3 …");
  await shows("/queues/mails/dead?q=route", "no route", "1 dead letter");
  await shows("/checks", "https://down.example.com/", "down");
  await shows("/values", "plans");
  await shows("/values/plans?prefix=eu", "eu.basic");
  await shows("/values/plans/key?key=eu.basic", "9 euro", "1 revision", "Download");
  await shows("/values/plans/download?key=eu.basic", "9 euro");
  await shows("/objects", "reports");
  await shows("/objects/reports", "november.txt", "6 B");
  for (const path of ["/nothing", "/queues/none", "/queues/mails/jobs/none", "/values/none", "/objects/none"]) {
    assertEquals((await get(path)).status, 404, path);
  }
});

test("dashboard promotes, reschedules and changes a job that waits, and says so if it is too late", async () => {
  await using site = await startSite();
  const { stores, get, post } = site;
  const mails = stores.jobQueue("mails");
  await mails.publish({ to: "ann" }, { id: "a", delay: 3_600_000 });
  assertMatch((await get("/queues/mails/jobs/a/update")).text, /&quot;to&quot;: &quot;ann&quot;/);
  await post("/queues/mails/jobs/a/update", { data: '{"to":"bob"}' });
  assertEquals((await mails.get("a"))?.data, { to: "bob" });
  await post("/queues/mails/jobs/a/reschedule", { seconds: "7200" });
  assert((await mails.get("a"))!.runAt!.getTime() > Date.now() + 7_000_000);
  assertEquals((await post("/queues/mails/jobs/a/reschedule", { seconds: "soon" })).status, 400);
  assertEquals((await post("/queues/mails/jobs/a/update", { data: "{" })).status, 400);
  await post("/queues/mails/jobs/a/promote");
  assertEquals((await mails.get("a"))?.state, "ready");

  await mails.publish(1, { id: "keyed", key: "k" });
  const refused = await post("/queues/mails/jobs/keyed/update", { data: "2" });
  assertEquals(refused.status, 409);
  assertMatch(await refused.text(), /it has a key, and keeps its place/);

  const go = Promise.withResolvers<void>();
  await using worker = mails.consume(() => go.promise, { priorities: ["normal"] });
  await waitUntil(() => worker.status().active === 1);
  assertEquals((await get("/queues/mails/jobs/a/promote")).status, 404);
  const late = await post("/queues/mails/jobs/a/promote", { back: "/queues/mails/jobs/a" });
  assertMatch((await get(late.headers.get("location")!)).text, /The job is active by now, or no longer there/);
  go.resolve();
});

test("dashboard shows jobs by state, workers, and of a job its progress and trace", async () => {
  await using site = await startSite();
  const { stores, get } = site;
  const mails = stores.jobQueue("mails");
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const headers = { traceparent: `00-${trace}-b7ad6b7169203331-01` };
  const go = Promise.withResolvers<void>();
  await using worker = mails.consume(async (job) => {
    await job.progress({ percent: 50 });
    await go.promise;
  }, { priorities: ["normal"], prefetch: 0 });
  await mails.publish(1, { id: "runs", headers });
  await waitUntil(async () => await mails.progress("runs") !== null);
  await mails.publish(2, { id: "waits" });
  await mails.publish(3, { id: "with-key", key: "k" });
  const listed = async (kind: string) => {
    const { text } = await get(`/queues/mails?kind=${kind}`);
    return ["runs", "waits", "with-key"].filter((id) => text.includes(`/queues/mails/jobs/${id}"`));
  };
  assertEquals(await listed("active"), ["runs"]);
  assertEquals(await listed("ready"), ["waits"]);
  assertEquals(await listed("keyed"), ["with-key"]);
  await waitUntil(async () => (await get("/queues/mails")).text.includes("1 worker"));
  assertMatch((await get("/queues/mails")).text, /1 of 1 places taken[^]*127\.0\.0\.1[^]*serving[^]*1 of 1/);
  const { text } = await get("/queues/mails/jobs/runs");
  assertMatch(text, /Progress[^]*&quot;percent&quot;: 50/);
  assert(text.includes(trace));
  go.resolve();
  await worker.stop();
});

test("dashboard asks before each change, says how many it touches, and makes it once the form is sent", async () => {
  await using site = await startSite();
  const { stores, get, post } = site;
  const mails = stores.jobQueue("mails");
  await makeDeadLetters(stores, "mails", { a: "x", b: "x", c: "y", d: "y" });
  const asked = await get("/queues/mails/dead/redrive?reason=x");
  assertMatch(asked.text, /Redrive 2 jobs/);
  assertEquals((await mails.counts())?.dead, 4, "asking changes nothing");

  const ids = [...asked.text.matchAll(/name="id"\s+value="(\w)"/g)].map(([, id]) => id).sort();
  assertEquals(ids, ["a", "b"]);
  const form = new URLSearchParams([["id", "a"], ["id", "b"], ["back", "/queues/mails/dead"]]);
  const headers = { origin: "http://localhost" };
  const done = await site.handler(
    new Request("http://localhost/queues/mails/dead/redrive", { method: "POST", headers, body: form }),
  );
  assertEquals([done.status, done.headers.get("location")], [303, "/queues/mails/dead?done=redriven&n=2"]);
  assertMatch((await get(done.headers.get("location")!)).text, /2 jobs redriven/);
  assertEquals((await mails.counts())?.dead, 2);

  await post("/queues/mails/jobs/c/discard");
  assertEquals(await mails.deadLetter("c"), null);
  await post("/queues/mails/dead/redrive-all");
  assertEquals((await mails.counts())?.dead, 0);
  await post("/queues/mails/jobs/a/cancel");
  assertEquals(await mails.get("a"), null);

  assertMatch((await get("/queues/mails/pause")).text, /2 jobs will wait/);
  await post("/queues/mails/pause", { minutes: "60" });
  const { paused } = (await mails.counts())!;
  assertEquals(paused?.priorities, ["high", "normal", "low"]);
  assert(paused!.until!.getTime() > Date.now());
  await post("/queues/mails/resume");
  assertEquals((await mails.counts())?.paused, null);
  await post("/queues/mails/limit", { high: "3", normal: "", low: "", jobs: "", seconds: "1" });
  assertEquals((await mails.counts())?.limits, { high: 3, normal: null, low: null });
  await post("/queues/mails/publish", { data: '{"to":"ann"}', id: "new", priority: "high" });
  assertEquals((await mails.get("new"))?.priority, "high");
  assertEquals((await post("/queues/mails/publish", { data: "no json" })).status, 400);
  await mails.schedule("daily", { cron: "0 0 7 * * *", data: "tick" });
  await post("/queues/mails/schedules/daily/run");
  assertEquals((await mails.get("@daily"))?.data, "tick");

  await stores.kvBucket("plans").put("a key", "1");
  assertMatch((await get("/values/plans/delete?key=a+key")).text, /Delete 1 key/);
  await post("/values/plans/delete", { key: "a key" });
  assertEquals(await stores.kvBucket("plans").get("a key"), null);
  await stores.objectBucket("reports").put("an object", "1");
  await post("/objects/reports/delete", { name: "an object" });
  assertEquals(await stores.objectBucket("reports").get("an object"), null);
});

test("dashboard limits active jobs and starts, shows the limits, and lifts them", async () => {
  await using site = await startSite();
  const { stores, get, post } = site;
  const mails = stores.jobQueue("mails");
  await mails.open();
  assertMatch((await get("/queues/mails")).text, /Not paused, no limits\./);
  await post("/queues/mails/limit", { high: "3", normal: "", low: "", jobs: "50", seconds: "0.5" });
  const { limits, rateLimit } = (await mails.counts())!;
  assertEquals([limits, rateLimit], [{ high: 3, normal: null, low: null }, { jobs: 50, interval: 500 }]);
  assertMatch((await get("/queues/mails")).text, /Active, high<\/dt>\s*<dd>at most 3[^]*at most 50 in 0\.5 s/);
  await post("/queues/mails/limit", { high: "", normal: "", low: "", jobs: "", seconds: "0.5" });
  assertEquals((await mails.counts())?.rateLimit, null);
  assertEquals((await mails.counts())?.limits.high, null);
});

test("dashboard refuses a form of limits or of a pause with a field that is missing or malformed, and changes nothing", async () => {
  await using site = await startSite();
  const mails = site.stores.jobQueue("mails");
  const limits = { high: 5, normal: 6, low: 7 };
  const rateLimit = { jobs: 50, interval: 500 };
  await mails.limitActive(limits);
  await mails.limitRate(rateLimit);
  const form = { high: "8", normal: "8", low: "8", jobs: "8", seconds: "1" };
  const wrong = ["x", " ", "0", "-3", "1e999"];
  const forms = Object.keys(form).flatMap((field) => {
    const { [field as keyof typeof form]: _, ...others } = form;
    return [others, ...wrong.map((value) => ({ ...form, [field]: value }))];
  });
  for (const fields of [...forms, { ...form, high: "1.5" }, { ...form, seconds: "" }]) {
    assertEquals((await site.post("/queues/mails/limit", fields)).status, 400, JSON.stringify(fields));
    const counts = await mails.counts();
    assertEquals([counts?.limits, counts?.rateLimit], [limits, rateLimit], JSON.stringify(fields));
  }
  for (const fields of [{}, ...[...wrong, "1e300"].map((minutes) => ({ minutes }))]) {
    assertEquals((await site.post("/queues/mails/pause", fields)).status, 400, JSON.stringify(fields));
    assertEquals((await mails.counts())?.paused, null, JSON.stringify(fields));
  }
  await site.post("/queues/mails/pause", { minutes: "" });
  assertEquals((await mails.counts())?.paused?.until, null);
});

test("dashboard redrives and discards all dead letters that match, those beyond a page too", async () => {
  await using site = await startSite();
  const { stores, get, post } = site;
  const reasons = Object.fromEntries(
    Array.from({ length: 520 }, (_, n) => [`job-${n}`, n < 510 ? "HTTP 503" : "HTTP 404"]),
  );
  await makeDeadLetters(stores, "mails", reasons);
  const page = (await get("/queues/mails/dead?q=HTTP")).text;
  assertMatch(page, /All with this reason/);
  assertMatch(page, /All whose reason contains “HTTP”/);
  const asked = (await get("/queues/mails/dead/redrive-matching?reason=HTTP+503")).text;
  assertMatch(asked, /Redrive (510|at least \d+|an unknown number of) dead letters? of mails/);
  await waitUntil(async () => (await get("/queues/mails/dead/redrive-matching?reason=none")).status === 404);
  assertEquals((await get("/queues/mails/dead/redrive-matching?reason=")).status, 404);
  const redriven = await post("/queues/mails/dead/redrive-matching", { reason: "HTTP 503" });
  assertMatch(redriven.headers.get("location")!, /done=redriven(SoFar)?&n=\d+/);
  await waitUntil(async () => (await stores.jobQueue("mails").counts())?.dead === 10);
  const discarded = await post("/queues/mails/dead/discard-matching", { reason: "404" });
  assertEquals(discarded.headers.get("location"), "/?done=discarded&n=10");
  assertEquals((await stores.jobQueue("mails").counts())?.dead, 0);
});

Deno.test("dashboard ends a stream of events that was asked for by HEAD", async () => {
  await using site = await startSite();
  await site.stores.jobQueue("mails").open();
  const ended = Promise.withResolvers<void>();
  const jobQueue = site.stores.jobQueue.bind(site.stores);
  site.stores.jobQueue = (...from) => {
    const queue = jobQueue(...from) as ReturnType<typeof jobQueue>;
    const events = queue.events.bind(queue);
    queue.events = async function* (options) {
      try {
        yield* events(options);
      } finally {
        ended.resolve();
      }
    };
    return queue as never;
  };
  const { status } = await site.handler(new Request("http://localhost/queues/mails/events", { method: "HEAD" }));
  assertEquals(status, 200);
  await ended.promise;
});

Deno.test("dashboard leads back only to its own pages after a change", async () => {
  await using site = await startSite();
  await site.stores.jobQueue("mails").publish(1, { id: "a" });
  for (
    const back of [
      "https://evil.example/",
      "//evil.example/",
      "/\\evil.example",
      "javascript:alert(1)",
      "/.//evil.example",
      "",
    ]
  ) {
    const location = (await site.post("/queues/mails/jobs/a/cancel", { back })).headers.get("location")!;
    assertEquals(new URL(location, "http://localhost/").origin, "http://localhost", back);
  }
});

Deno.test("dashboard refuses changes from other origins", async () => {
  await using site = await startSite();
  await site.stores.jobQueue("mails").publish(1, { id: "stays" });
  const send = (headers: Record<string, string>) =>
    site.handler(
      new Request("http://localhost/queues/mails/jobs/stays/cancel", {
        method: "POST",
        headers,
        body: new URLSearchParams(),
      }),
    );
  const foreign: Record<string, string>[] = [
    {},
    { origin: "http://evil.example" },
    { origin: "null" },
    { origin: "http://localhost.evil.example" },
    { "sec-fetch-site": "cross-site", origin: "http://localhost" },
    { "sec-fetch-site": "same-site" },
  ];
  for (const headers of foreign) assertEquals((await send(headers)).status, 403, JSON.stringify(headers));
  assert(await site.stores.jobQueue("mails").get("stays"));
  assertEquals((await send({ "sec-fetch-site": "same-origin" })).status, 303);
  assertEquals(await site.stores.jobQueue("mails").get("stays"), null);
});

Deno.test("dashboard reads no more of a form than a job can have", async () => {
  await using site = await startSite();
  await site.stores.jobQueue("mails").open();
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      sent++;
      controller.enqueue(new Uint8Array(1024 * 1024).fill(65));
    },
  });
  const headers = { origin: "http://localhost", "content-type": "application/x-www-form-urlencoded" };
  const request = new Request("http://localhost/queues/mails/publish", { method: "POST", headers, body });
  const response = await site.handler(request);
  assertEquals(response.status, 400);
  assertMatch(await response.text(), /more than 8 MiB/);
  assert(sent < 20, `${sent} MiB were read`);
});

/** A path of each route. */
const ROUTES = [
  ...[
    "/",
    "/live",
    "/style.css",
    "/live.js",
    "/icon.svg",
    "/queues",
    "/queues/live",
    "/checks",
    "/checks/live",
    "/nothing",
  ],
  ...[
    "",
    "/live",
    "/events",
    "/pause",
    "/resume",
    "/limit",
    "/publish",
    "/dead",
    "/dead/live",
    "/dead/redrive",
    "/dead/discard",
  ]
    .map((path) => `/queues/mails${path}`),
  ...[
    "/dead/redrive-all",
    "/dead/redrive-matching",
    "/dead/discard-matching",
    "/jobs/a",
    "/jobs/a/live",
    "/jobs/a/cancel",
    "/jobs/a/redrive",
    "/jobs/a/discard",
    "/jobs/a/promote",
    "/jobs/a/reschedule",
    "/jobs/a/update",
    "/schedules/a/run",
  ]
    .map((path) => `/queues/mails${path}`),
  ...[
    "/values",
    "/values/plans",
    "/values/plans/key?key=a",
    "/values/plans/download?key=a",
    "/values/plans/delete?key=a",
  ],
  ...["/objects", "/objects/reports", "/objects/reports/download?name=a", "/objects/reports/delete?name=a"],
];

Deno.test("dashboard lets 'authorize' decide about every route, before anything is read or changed", async () => {
  const asked: string[] = [];
  await using site = await startSite({
    authorize: async ({ url }) => {
      asked.push(new URL(url).pathname);
      return await Promise.resolve(false);
    },
  });
  for (const route of ROUTES) {
    assertEquals((await site.get(route)).status, 403, route);
    assertEquals((await site.post(route)).status, 403, route);
  }
  assertEquals(asked.length, 2 * ROUTES.length);
  assertEquals(site.stores.connectionStatus(), "none", "nothing was asked of NATS");

  const login = dashboard({ stores: site.stores, authorize: () => Response.redirect("http://localhost/login") });
  assertEquals((await login(new Request("http://localhost/queues"))).headers.get("location"), "http://localhost/login");
});

Deno.test("dashboard that is read-only refuses every change, and offers none", async () => {
  await using site = await startSite({ readOnly: true });
  await makeDeadLetters(site.stores, "mails", { a: "x" });
  for (const route of ROUTES) assertEquals((await site.post(route)).status, 403, route);
  assertEquals((await site.stores.jobQueue("mails").counts())?.dead, 1);
  for (
    const route of [
      "/queues/mails",
      "/queues/mails/dead",
      "/queues/mails/jobs/a",
      "/queues/mails/dead/redrive?reason=x",
    ]
  ) {
    assertFalse((await site.get(route)).text.includes('method="post"'), route);
    assertFalse(/class="button (main|danger)"/.test((await site.get(route)).text), route);
  }
});

test("dashboard escapes text of jobs, keys, reasons, headers and names", async () => {
  await using site = await startSite();
  const { stores, get } = site;
  await makeDeadLetters(stores, "mails", { [HOSTILE]: HOSTILE });
  await stores.jobQueue("mails").publish(HOSTILE, { id: `w${HOSTILE}`, headers: { "x-a": HOSTILE } });
  await stores.jobQueue("mails").schedule(HOSTILE, { every: 3_600_000, data: HOSTILE });
  await stores.kvBucket("plans").put(HOSTILE, HOSTILE);
  await stores.objectBucket("reports").put(HOSTILE, HOSTILE);
  await stores.storeHealthcheck(HOSTILE, HOSTILE);
  const part = encodeURIComponent(HOSTILE);
  const pages = [
    ...[
      "/",
      "/queues",
      `/queues?q=${part}`,
      "/queues/mails",
      "/queues/mails/dead",
      `/queues/mails/dead?q=${part}`,
      "/checks",
    ],
    ...[`/queues/mails/jobs/${part}`, `/queues/mails/jobs/w${part}`, `/queues/mails/jobs/w${part}/cancel`],
    ...[`/queues/mails/dead/redrive?reason=${part}`, `/queues/mails/dead/discard?reason=${part}&q=${part}`],
    ...[
      "/values/plans",
      `/values/plans?prefix=${part}`,
      `/values/plans/key?key=${part}`,
      `/values/plans/delete?key=${part}`,
    ],
    ...["/objects/reports", `/objects/reports?q=${part}`, `/objects/reports/delete?name=${part}`],
    ...[`/queues/mails/publish?data=${part}&priority=${part}`, `/queues/mails?done=${part}&n=${part}`],
  ];
  for (const page of pages) {
    const { status, text } = await get(page);
    assertEquals(status, 200, page);
    assertFalse(/<script>|<img|onerror="global/.test(text), `${page} has markup of others:\n${text}`);
  }
});

Deno.test("dashboard shows the beginning of large values and results, and says so", async () => {
  await using site = await startSite();
  await site.stores.kvBucket("plans").put("large", "x".repeat(150_000));
  await site.stores.storeHealthcheck("https://large.example.com/", JSON.stringify({ body: "y".repeat(100_000) }));
  const value = (await site.get("/values/plans/key?key=large")).text;
  assertMatch(value, /The first 100\u202f000 characters: a download has all\./);
  assertEquals((await site.get("/values/plans/download?key=large")).text.length, 150_000);
  const checks = (await site.get("/checks")).text;
  assertMatch(checks, /<span class="pill ">up<[^]*a result of 98 KiB/);
  assertFalse(checks.includes("yyy"));
});

Deno.test("dashboard sends objects as files to keep, and forbids scripts that are not its own", async () => {
  await using site = await startSite();
  await site.stores.objectBucket("reports").put("a/<b>.html", "<script>1</script>");
  const path = `/objects/reports/download?name=${encodeURIComponent("a/<b>.html")}`;
  const response = await site.handler(new Request(`http://localhost${path}`));
  assertEquals(await response.text(), "<script>1</script>");
  assertEquals(response.headers.get("content-type"), "application/octet-stream");
  assertEquals(response.headers.get("content-disposition"), "attachment; filename*=UTF-8''%3Cb%3E.html");
  assertEquals(response.headers.get("x-content-type-options"), "nosniff");
  const policy = response.headers.get("content-security-policy")!;
  assert(policy.startsWith("default-src 'none'; ") && !policy.includes("unsafe"), policy);
});

Deno.test("dashboard says so, with status 503, while there is no connection", async () => {
  await using stores = new JetStreamStores({ servers: "nats://127.0.0.1:1", connectTimeout: 100, logger: false });
  const handler = dashboard({ stores });
  for (
    const path of ["/", "/queues/mails", "/queues/mails/jobs/a", "/checks", "/values", "/values/plans", "/objects"]
  ) {
    const response = await handler(new Request(`http://localhost${path}`));
    assertEquals(response.status, 503, path);
    assertMatch(await response.text(), /NATS is unavailable/);
  }
});

Deno.test("dashboard serves below its base, and links nowhere else", async () => {
  await using site = await startSite({ base: "/admin/jetstream" });
  await site.stores.jobQueue("mails").publish(1, { id: "a" });
  const { status, text } = await site.get("/admin/jetstream");
  assertEquals(status, 200);
  const links = [...text.matchAll(/(?:href|src|data-live)="([^"#]+)"/g)].map(([, link]) => link);
  assertEquals(links.filter((link) => !link.startsWith("/admin/jetstream/")), []);
  assertEquals((await site.get("/admin/jetstream/queues/mails")).status, 200);
  assertEquals((await site.get("/queues/mails")).status, 404);
});

Deno.test("dashboard refuses wrong options", () => {
  assertThrows(() => dashboard({ stores: {} as JetStreamStores }), TypeError, "'stores' must be a JetStreamStores");
  assertThrows(() => dashboard({ base: "admin" }), TypeError, "'base' must be a path");
  assertThrows(() => dashboard({ base: "/../x" }), TypeError, "'base' must be a path");
  assertThrows(() => dashboard({ hosts: [] }), TypeError, "'hosts' must be a list of names");
  for (const host of ["", "a:80", "a/b", "http://a", 5 as never, "::1"]) {
    assertThrows(() => dashboard({ hosts: [host] }), TypeError, "'hosts' must be names or addresses without a port");
  }
  assertThrows(() => dashboard({ readonly: true } as object), TypeError, "did you mean 'readOnly'?");
});

/** The status of the overview's style, asked for under a host. */
async function statusUnder(handler: (request: Request) => Promise<Response>, host: string): Promise<number> {
  const response = await handler(new Request(`http://${host}/style.css`));
  await response.body?.cancel();
  return response.status;
}

Deno.test("dashboard without 'authorize' answers requests for a loopback host only", async () => {
  await using site = await startSite();
  for (const host of ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:80", "app.localhost"]) {
    assertEquals(await statusUnder(site.handler, host), 200, host);
  }
  for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7", "[::2]"]) {
    assertEquals(await statusUnder(site.handler, host), 403, host);
  }
  const rebound = new Request("http://127.0.0.1/style.css", { headers: { host: "evil.example" } });
  assertEquals((await site.handler(rebound)).status, 403, "what the browser asked for counts");
});

Deno.test("dashboard with 'authorize' answers under every host, and with 'hosts' under these only", async () => {
  await using site = await startSite();
  const { stores } = site;
  assertEquals(await statusUnder(dashboard({ stores, authorize: () => true }), "ops.example.com"), 200);
  const handler = dashboard({ stores, authorize: () => true, hosts: ["ops.example.com", "[::1]"] });
  assertEquals(await statusUnder(handler, "OPS.example.com:8443"), 200);
  assertEquals(await statusUnder(handler, "[::1]"), 200);
  assertEquals(await statusUnder(handler, "localhost"), 403);
});

Deno.test("dashboard's overview says which queues cannot be counted, once in the log, and counts the others", async () => {
  const lines: string[] = [];
  const logger = { info: () => {}, warn: (line: string) => void lines.push(line), error: () => {} };
  await using site = await startSite({ logger });
  const { stores, get } = site;
  const broken = Array.from({ length: 9 }, (_, n) => `broken_${n}`);
  await stores.jobQueue("mails").publish(1);
  const nc = await connect({ servers: site.server.url });
  // Streams that have the name of a queue, and are none.
  for (const name of broken) {
    const config = { name: `WQ_${name}`, subjects: [`wq.${name}.other`], storage: "memory" };
    await nc.request(`$JS.API.STREAM.CREATE.WQ_${name}`, JSON.stringify(config), { timeout: 10_000 });
  }
  await nc.close();
  await waitUntil(async () => {
    const { text } = await get("/");
    return text.split("cannot be counted:").length === broken.length + 1 && !text.includes("counting …");
  });
  const { text } = await get("/queues");
  assertMatch(text, /mails[^]*?<td class="n">1<\/td>/);
  await waitUntil(() => lines.length > 0);
  assertEquals(lines.length, 1, lines.join("\n"));
  assertMatch(lines[0], /^Queue broken_\d \(and \d+ more queues\) cannot be counted for the dashboard: /);
});
