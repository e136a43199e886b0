export { openStores } from "../_support/open_stores.ts";
