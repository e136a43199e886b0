export * from "../_support/run_deno.ts";
