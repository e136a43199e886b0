export * from "../_support/open_session.ts";
