/**
 * Preloaded by `deno task test`, and where examples run against a server. Like a service, examples leave workers and the connection open; closing
 * it here lets the sanitizers see that nothing else is left.
 * @module
 */
import { close } from "../../mod.ts";

Deno.test.afterEach(() => close());
