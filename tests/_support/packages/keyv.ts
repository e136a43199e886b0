export * from "npm:keyv@6.1.0";
export { default } from "npm:keyv@6.1.0";
