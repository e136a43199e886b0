/** What a store client notes: its calls, with times comparable between processes, and what it sees. */
export type StoreNote =
  /** Before a value or object of its own is written; `version` rises with each write of the key. */
  | { what: "write"; kind: StoreKind; key: string; version: number; deletes: boolean; at: number }
  /** The write was confirmed, or may have been done. */
  | { what: "written"; kind: StoreKind; key: string; version: number; confirmed: boolean; at: number }
  /** A version that was read, or `0`: there certainly was none. `strict`: all that was confirmed before has to be seen. */
  | {
    what: "read";
    kind: StoreKind;
    key: string;
    client: string;
    version: number;
    strict: boolean;
    from: number;
    at: number;
  }
  /** A counter was certainly incremented by this client, for the `count`th time. */
  | { what: "incremented"; key: string; client: string; count: number; pending: boolean; at: number }
  /** A key that all clients try to create. */
  | { what: "claimed"; key: string; client: string; at: number }
  /** A lock was certainly held by this client. */
  | { what: "held"; client: string; from: number; at: number }
  /** The versions that a watch has seen last, once nothing is written any more. */
  | { what: "view"; client: string; versions: Record<string, number>; at: number }
  /** It writes nothing more. */
  | { what: "stopped"; client: string; at: number }
  | { what: "refused"; client: string; call: string; code: string; message: string; at: number }
  | { what: "late"; client: string; call: string; took: number; deadline: number; lag: number; at: number }
  | { what: "wrong"; client: string; message: string; at: number }
  | { what: "log"; client: string; level: string; message: string; at: number };

/** Which store a key is in. */
export type StoreKind = "value" | "object";
