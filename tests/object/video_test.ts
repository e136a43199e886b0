import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import puppeteer from "puppeteer-core";
import { CHROMIUM, UNLESS } from "../_support/chromium.ts";
import { ObjectServer } from "./_object_server.ts";

/** Records noise as a video of more than 500 kB and 30 frames, and gives it in base64. Runs in the page. */
const RECORD = `(async () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [320, 240];
  const context = canvas.getContext("2d");
  const image = context.createImageData(320, 240);
  const stream = canvas.captureStream(0);
  const recorder = new MediaRecorder(stream, { mimeType: "video/webm", videoBitsPerSecond: 2e7 });
  const parts = [];
  let size = 0;
  recorder.ondataavailable = ({ data }) => {
    parts.push(data);
    size += data.size;
  };
  const ended = new Promise((resolve) => recorder.onstop = resolve);
  recorder.start(100);
  for (let frames = 0; frames < 30 || size < 500_000; frames++) {
    for (let i = 0; i < image.data.length; i += 32_768) crypto.getRandomValues(image.data.subarray(i, i + 32_768));
    for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
    context.putImageData(image, 0, 0);
    stream.getVideoTracks()[0].requestFrame();
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  recorder.stop();
  await ended;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
})()`;

/** Plays a video to its end, then seeks back into it and plays on; gives what it showed. Runs in the page. */
const PLAY = `(async () => {
  const video = document.querySelector("video");
  const event = (name) => new Promise((resolve, reject) => {
    video.addEventListener(name, resolve, { once: true });
    video.addEventListener("error", () => reject(new Error(video.error.message)), { once: true });
  });
  const ended = event("ended");
  video.muted = true;
  video.src = "/noise.webm";
  await video.play();
  await ended;
  const end = video.currentTime;
  const sought = event("seeked");
  video.currentTime = end / 2;
  await sought;
  const again = event("ended");
  const at = video.currentTime;
  await video.play();
  await again;
  return { width: video.videoWidth, end, at };
})()`;

/** The response of a server whose connection breaks once so many bytes have gone. */
function brokenOff({ body, status, headers }: Response, bytes: number): Response {
  let left = bytes;
  const breaking = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      left -= chunk.length;
      if (left <= 0) controller.terminate();
    },
  });
  return new Response(body!.pipeThrough(breaking), { status, headers });
}

Deno.test({
  name:
    `ObjectBucket.respond serves a video that a browser plays and seeks in, also when its connection breaks meanwhile${UNLESS}`,
  ignore: CHROMIUM === null,
  // The browser keeps timers and pipes of its own until it is closed, which the sanitizers take for leaks.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using server = await ObjectServer.start();
    const bucket = server.bucket("videos");
    const answers: { range: string | null; status: number; part: string | null; type: string | null }[] = [];
    await using http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/") return new Response("<video></video>", { headers: { "Content-Type": "text/html" } });
      const response = await bucket.respond(request, pathname.slice(1));
      const { status, headers } = response;
      const [part, type] = [headers.get("Content-Range"), headers.get("Content-Type")];
      answers.push({ range: request.headers.get("Range"), status, part, type });
      return answers.filter((answer) => answer.status === 206).length === 1 ? brokenOff(response, 200_000) : response;
    });
    await using stack = new AsyncDisposableStack();
    const profile = await Deno.makeTempDir();
    stack.defer(() => Deno.remove(profile, { recursive: true }));
    const browser = await puppeteer.launch({
      executablePath: CHROMIUM!,
      userDataDir: profile,
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"],
    });
    stack.defer(() => browser.close());
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${http.addr.port}/`);
    const video = Buffer.from(await page.evaluate(RECORD) as string, "base64");
    assert(video.length > 300_000, `${video.length} bytes make several chunks`);
    await bucket.put("noise.webm", video);

    const { width, end, at } = await page.evaluate(PLAY) as { width: number; end: number; at: number };
    assertEquals(width, 320);
    assert(end > 0.5 && Math.abs(at - end / 2) < 0.3, `sought to ${at} of ${end} s`);
    const videos = answers.filter(({ status }) => status !== 404);
    assert(videos.length > 0 && videos.every(({ status, range }) => status === 206 && range !== null));
    for (const { range, part, type } of videos) {
      const [, start, last] = /^bytes=(\d+)-(\d*)$/.exec(range!)!;
      assertEquals([part, type], [`bytes ${start}-${last || video.length - 1}/${video.length}`, "video/webm"]);
    }
    // It went on behind what had come before the connection broke.
    assert(videos.some(({ range }) => !range!.startsWith("bytes=0-")));
  },
});
