export * from "../_proxy.ts";
