import type { Logger } from "../../mod.ts";
import { type LedgerFile, now } from "../ledger/ledger_file.ts";
import type { StoreNote } from "./store_notes.ts";

/** A logger that notes each line. */
export function notedLogger(ledger: LedgerFile<StoreNote>, client: string): Logger {
  const note = (level: string) => (message: string) =>
    ledger.append({ what: "log", client, level, message, at: now() });
  return { info: note("info"), warn: note("warn"), error: note("error") };
}
