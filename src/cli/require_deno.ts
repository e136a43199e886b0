/**
 * Imported first: what comes behind it would fail with a word that explains nothing.
 * @module
 */
if (!("Deno" in globalThis)) {
  throw new Error(
    "The command line needs Deno: deno run -A jsr:@supercheck/jetstream/cli (the library itself runs here, too)",
  );
}
