import { sleep } from "../sleep.ts";

/** A few HTTP services of different health on 127.0.0.1. */
export class LocalServices implements AsyncDisposable {
  /** What each of them does. */
  readonly habits = "fast, slow (300 ms), flapping, failing (503), silent (never answers)";
  readonly urls: readonly string[];
  readonly #servers: Deno.HttpServer<Deno.NetAddr>[] = [];
  readonly #ending = new AbortController();
  #flaps = 0;

  constructor() {
    this.urls = [
      this.#serve("fast", () => health(200, { status: "ok" })),
      this.#serve("slow", () => this.#later(300, () => health(200, { status: "ok", queue: 17 }))),
      this.#serve("flapping", () => this.#flap()),
      this.#serve("failing", () => health(503, { status: "down", reason: "no database" })),
      this.#serve("silent", () => this.#later(600_000, () => health(200, {}))),
    ];
  }

  /** Lets go of the ports, and of whoever still waits for an answer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#servers.map((server) => server.shutdown()));
  }

  #serve(name: string, answer: () => Response | Promise<Response>): string {
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
    this.#servers.push(server);
    return `http://127.0.0.1:${server.addr.port}/${name}`;
  }

  /** Of five requests the first, third and fourth fail: a second attempt helps the first check, but not the second. */
  #flap(): Response {
    const request = this.#flaps++ % 5;
    return [0, 2, 3].includes(request)
      ? health(500, { status: "down", reason: "out of luck" })
      : health(200, { status: "ok" });
  }

  async #later(milliseconds: number, answer: () => Response): Promise<Response> {
    await sleep(milliseconds, this.#ending.signal);
    return answer();
  }
}

function health(status: number, body: object): Response {
  return Response.json(body, { status });
}
