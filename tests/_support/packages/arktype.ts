export { type } from "npm:arktype@2.2.10";
