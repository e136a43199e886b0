export * from "npm:@nats-io/obj@3.4.0";
