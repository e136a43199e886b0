export * from "../_support/suspend.ts";
