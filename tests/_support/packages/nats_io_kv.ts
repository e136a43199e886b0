export * from "npm:@nats-io/kv@3.4.0";
