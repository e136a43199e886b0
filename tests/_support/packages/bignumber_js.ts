export { default } from "npm:bignumber.js@9.3.1";
