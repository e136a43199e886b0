export { default } from "npm:timekeeper@2.3.1";
