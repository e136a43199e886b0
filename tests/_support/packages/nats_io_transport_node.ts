export * from "npm:@nats-io/transport-node@3.4.0";
