export * from "npm:keyv@5.6.0";
export { default } from "npm:keyv@5.6.0";
