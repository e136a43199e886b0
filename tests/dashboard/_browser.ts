import puppeteer, { type Browser, type Page } from "puppeteer-core";
import type { DashboardOptions } from "../../src/dashboard/mod.ts";
import { CHROMIUM } from "../_support/chromium.ts";
import { startSite, type TestSite } from "./_site.ts";

/** How a page is looked at. */
export interface View {
  width: number;
  scheme: "light" | "dark";
}

/** A dashboard served on loopback, and a browser in front of it. */
export interface BrowserSite extends TestSite {
  browser: Browser;
  url: string;
  /** Opens a page. */
  open(path: string): Promise<Page>;
  /** What the pages complained of. */
  complaints: string[];
}

/** Starts all of it. */
export async function startBrowserSite(options?: Omit<DashboardOptions, "stores">): Promise<BrowserSite> {
  await using stack = new AsyncDisposableStack();
  const site = stack.use(await startSite(options));
  const server = stack.use(Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, site.handler));
  const profile = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(profile, { recursive: true }));
  const browser = await puppeteer.launch({
    executablePath: CHROMIUM!,
    userDataDir: profile,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  stack.defer(() => browser.close());
  const url = `http://127.0.0.1:${server.addr.port}`;
  const complaints: string[] = [];
  const open = async (path: string) => {
    const page = await browser.newPage();
    page.on("pageerror", (error) => complaints.push(`${path}: ${error}`));
    page.on(
      "console",
      (message) => ["error", "warn"].includes(message.type()) && complaints.push(`${path}: ${message.text()}`),
    );
    await look(page, { width: 1280, scheme: "light" });
    await page.goto(url + path, { waitUntil: "load" });
    return page;
  };
  const kept = stack.move();
  return { ...site, browser, url, open, complaints, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Changes the size of a page's screen, and its colours. */
export async function look(page: Page, { width, scheme }: View): Promise<void> {
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
}
