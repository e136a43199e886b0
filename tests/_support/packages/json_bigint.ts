export { default } from "npm:json-bigint@1.0.0";
