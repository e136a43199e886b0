import { clearImmediate, setImmediate } from "node:timers";

/** What a call gives within a turn of the event loop: without waiting for a socket, or for a timer. Throws if it waits. */
export async function atOnce<T>(call: Promise<T>): Promise<T> {
  let turn: ReturnType<typeof setImmediate> | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(new Error("The call waited for something"));
    turn = setImmediate(() => turn = setImmediate(fail));
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearImmediate(turn);
  }
}
