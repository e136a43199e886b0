export * from "npm:@nats-io/jetstream@3.4.0";
