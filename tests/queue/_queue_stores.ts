export * from "../_support/queue_stores.ts";
