import { assert, assertEquals } from "@std/assert";
import { source as axeSource } from "axe-core";
import { JetStreamStores } from "../../mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { lacks } from "../_support/test_from.ts";
import { CHROMIUM, UNLESS } from "../_support/chromium.ts";
import { look, startBrowserSite, type View } from "./_browser.ts";
import { HOSTILE, makeDeadLetters } from "./_site.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

const VIEWS: View[] = [
  { width: 1280, scheme: "light" },
  { width: 1280, scheme: "dark" },
  { width: 390, scheme: "light" },
  { width: 390, scheme: "dark" },
];

/** What axe-core reports of a page. */
interface Finding {
  id: string;
  impact: string | null;
  nodes: { html: string }[];
}

function browserTest(name: string, fn: () => Promise<void>): void {
  // The browser keeps timers and pipes of its own until it is closed, which the sanitizers take for leaks.
  Deno.test({
    name: `${name}${UNLESS}`,
    ignore: CHROMIUM === null || lacks("2.14"),
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

browserTest(
  "dashboard's pages fit, run no text as markup, and have no serious findings of axe, in light and dark",
  async () => {
    await using site = await startBrowserSite();
    const { stores, open, complaints } = site;
    await makeDeadLetters(stores, "mails", { "dead-1": HOSTILE, "dead-2": "no route to host ".repeat(20) });
    await stores.jobQueue("mails").publish({ to: HOSTILE }, { id: "waits", headers: { "x-tenant": HOSTILE } });
    await stores.jobQueue("mails").schedule(HOSTILE, { every: 3_600_000, data: HOSTILE });
    await stores.storeHealthcheck(`https://example.com/${"very-long/".repeat(30)}`, '{"status":503}');
    await stores.kvBucket("plans").put(HOSTILE, HOSTILE);
    await stores.objectBucket("reports").put(HOSTILE, HOSTILE);
    // A worker may call itself anything, and so may the progress that it reports.
    await using hostile = new JetStreamStores({
      servers: site.server.url,
      connectTimeout: TIMEOUT_MS,
      name: HOSTILE,
      logger: false,
    });
    const go = Promise.withResolvers<void>();
    await using worker = hostile.jobQueue("mails").consume(async (job) => {
      await job.progress(HOSTILE);
      await go.promise;
    }, { priorities: ["low"] });
    await stores.jobQueue("mails").publish(HOSTILE, { id: "runs", priority: "low" });
    await waitUntil(async () => await stores.jobQueue("mails").progress("runs") !== null);
    await waitUntil(async () => (await site.get("/queues/mails")).text.includes("1 worker"));
    const part = encodeURIComponent(HOSTILE);
    const paths = [
      ...[
        "/",
        "/queues",
        "/queues/mails",
        "/queues/mails?kind=active",
        "/queues/mails/jobs/runs",
        "/queues/mails/jobs/waits",
        "/queues/mails/jobs/waits/update",
        "/queues/mails/jobs/waits/reschedule",
        `/queues/mails/dead/redrive-matching?reason=${encodeURIComponent("no route")}`,
        "/queues/mails/jobs/dead-1",
        "/queues/mails/dead",
      ],
      ...[
        "/queues/mails/pause",
        "/queues/mails/limit",
        "/queues/mails/publish",
        `/queues/mails/dead/redrive?reason=${part}`,
      ],
      ...[
        "/checks",
        "/values",
        "/values/plans",
        `/values/plans/key?key=${part}`,
        "/objects",
        "/objects/reports",
        "/nothing",
      ],
    ];
    for (const path of paths) {
      const page = await open(path);
      await page.evaluate(axeSource);
      for (const view of VIEWS) {
        await look(page, view);
        const width = await page.evaluate("document.documentElement.scrollWidth") as number;
        assert(width <= view.width, `${path} is ${width} pixels wide on a screen of ${view.width}`);
        const findings = await page.evaluate(async () =>
          (await (globalThis as unknown as { axe: { run(): Promise<{ violations: Finding[] }> } }).axe.run()).violations
        );
        const serious = findings.filter(({ impact }) => impact === "serious" || impact === "critical");
        assertEquals(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${path} ${JSON.stringify(view)}`);
      }
      assertEquals(await page.evaluate("globalThis.flag"), undefined, path);
      await page.close();
    }
    assertEquals(complaints.filter((line) => !line.startsWith("/nothing")), []);
    go.resolve();
    await worker.stop();
  },
);

browserTest("dashboard shows a queue that goes from full to empty, and events, without a reload", async () => {
  await using site = await startBrowserSite();
  const { stores, open, complaints } = site;
  const queue = stores.jobQueue<number>("mails");
  for (let n = 0; n < 20; n++) await queue.publish(n, { id: `job-${n}` });
  const page = await open("/queues/mails");
  const waiting = () => page.$eval("#now .tile b", (tile) => tile.textContent);
  assertEquals(await waiting(), "20");
  await page.evaluate(() => (globalThis as { same?: boolean }).same = true);
  await using worker = queue.consume(() => {}, { concurrency: 5 });
  await page.waitForFunction(`document.querySelector("#now .tile b")?.textContent === "0"`, { timeout: 60_000 });
  // Who begins to listen is heard of within a second, and events are not kept.
  let published = 20;
  const hasEvent = () =>
    page.evaluate(`document.querySelector("#events tbody")?.textContent.includes("late-") ?? false`);
  await waitUntil(async () => {
    await queue.publish(published, { id: `late-${published++}` });
    return await hasEvent() === true;
  });
  assertEquals(
    await page.evaluate(() => (globalThis as { same?: boolean }).same),
    true,
    "the page was not loaded again",
  );
  await page.close();
  await waitUntil(() => worker.status().ended.completed === published);
  assertEquals(complaints, []);
});

browserTest("dashboard follows live updates only while its tab is looked at", async () => {
  await using site = await startBrowserSite();
  await site.stores.jobQueue("mails").publish(1);
  const page = await site.open("/queues/mails");
  const show = (state: "hidden" | "visible") =>
    page.evaluate((state) => {
      const { document, Event } = globalThis as unknown as { document: EventTarget; Event: typeof globalThis.Event };
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  const ended: string[] = [];
  page.on("requestfailed", (request) => ended.push(new URL(request.url()).pathname));
  await show("hidden");
  await waitUntil(() => ended.length === 2);
  assertEquals(ended.sort(), ["/queues/mails/events", "/queues/mails/live"]);
  await Promise.all([page.waitForRequest((request) => request.url().endsWith("/queues/mails/live")), show("visible")]);
  await page.close();
});

browserTest("dashboard is used by keyboard alone: from the overview to a redrive", async () => {
  await using site = await startBrowserSite();
  const { stores, open } = site;
  await makeDeadLetters(stores, "mails", { a: "x", b: "x" });
  const page = await open("/queues/mails");
  const follow = async (text: string) => {
    for (let tabs = 0; tabs < 60; tabs++) {
      await page.keyboard.press("Tab");
      const focused = await page.evaluate(`document.activeElement?.textContent.trim() ?? ""`) as string;
      if (!focused.startsWith(text)) continue;
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      return;
    }
    throw new Error(`Nothing that begins with "${text}" can be reached by Tab`);
  };
  await follow("Dead letters");
  await follow("Redrive 2");
  await follow("Redrive 2 jobs");
  assert((await page.$eval("main", (main) => main.textContent))?.includes("2 jobs redriven"));
  assertEquals((await stores.jobQueue("mails").counts())?.dead, 0);
  await page.close();
});
