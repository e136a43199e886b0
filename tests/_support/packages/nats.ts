export * from "npm:nats@2.29.3";
