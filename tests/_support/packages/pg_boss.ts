export * from "npm:pg-boss@12.38.0";
