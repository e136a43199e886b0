export * from "../_wait_until.ts";
