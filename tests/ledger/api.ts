import { connect } from "@nats-io/transport-node";

/** Milliseconds that a cluster may take to find a leader. */
const ANSWER_TIMEOUT_MS = 20_000;

/** One call of the JetStream API, `$JS.API.<call>`, as any other client makes it; again while nobody leads. */
export async function api<T = Record<string, unknown>>(
  servers: string[],
  call: string,
  body: unknown = {},
): Promise<T> {
  const nc = await connect({ servers });
  try {
    for (const deadline = performance.now() + ANSWER_TIMEOUT_MS;;) {
      const answer = await nc.request(`$JS.API.${call}`, JSON.stringify(body), { timeout: 1_000 }).then(
        (reply) => reply.json<T & { error?: { code: number } }>(),
        (cause) => ({ error: { code: 503, cause } }),
      );
      if (!("error" in answer) || !answer.error) return answer as T;
      if (answer.error.code !== 503 || performance.now() > deadline) {
        throw new Error(`${call}: ${JSON.stringify(answer.error)}`);
      }
    }
  } finally {
    await nc.close();
  }
}
