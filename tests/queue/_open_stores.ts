export * from "../_support/open_stores.ts";
