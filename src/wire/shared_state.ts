/** Streams of which something is remembered, those used last. */
const STREAMS = 1_000;

/** What all handles of one stream share, so that it does not matter which of them a process uses. */
export class SharedState {
  readonly #kinds: Map<new () => object, Map<string, object>> = new Map();

  /** What is remembered of a stream; made when it is first asked for. */
  of<T extends object>(kind: new () => T, stream: string): T {
    let states = this.#kinds.get(kind);
    if (!states) this.#kinds.set(kind, states = new Map());
    const state = states.get(stream) ?? new kind();
    // The last in the order is the one used last.
    states.delete(stream);
    states.set(stream, state);
    if (states.size > STREAMS) states.delete(states.keys().next().value!);
    return state as T;
  }
}
