export * from "../_support/collected_log.ts";
