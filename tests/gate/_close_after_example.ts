/**
 * Preloaded where examples run against a server. Like a service, they leave the connection open; closing it here lets the sanitizers see
 * that nothing else is left.
 * @module
 */
import { close } from "../../mod.ts";

Deno.test.afterEach(() => close());
