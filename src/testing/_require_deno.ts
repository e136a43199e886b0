/**
 * Imported first: what comes behind it would fail with a word that explains nothing.
 * @module
 */
if (!("Deno" in globalThis)) {
  throw new Error(
    "@supercheck/jetstream/testing needs Deno: tests in other runtimes need a nats-server that they start themselves",
  );
}
