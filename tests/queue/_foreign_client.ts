export * from "../_support/foreign_client.ts";
