export * from "../_support/kv_stores.ts";
