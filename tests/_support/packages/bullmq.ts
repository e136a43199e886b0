export * from "npm:bullmq@6.7.0";
