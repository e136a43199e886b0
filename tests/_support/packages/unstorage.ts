export * from "npm:unstorage@1.17.6";
