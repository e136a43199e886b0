import { disjointSubjects } from "../bucket/disjoint_subjects.ts";
import { listAll, listNewest } from "../bucket/list_messages.ts";
import { watchBucket } from "../bucket/watch.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { type KvEntry, operationOf, StoredEntry } from "./kv_entry.ts";
import { checkKvWatchOptions, type KvWatchOptions } from "./kv_options.ts";
import type { KvStream } from "./_kv_stream.ts";

/** The keys that have a value. */
export function listKeys(stream: KvStream, filter: string): AsyncIterable<string> {
  const subjects = stream.subjectsOf(filter, "list the keys");
  const keyOf = (message: StoredMessage) => operationOf(message) === "put" ? stream.keyOf(message.subject) : null;
  return listNewest(stream, subjects, keyOf, true);
}

/** The entries of the keys that have a value. */
export function listEntries(stream: KvStream, filter: string): AsyncIterable<KvEntry> {
  const subjects = stream.subjectsOf(filter, "list the entries");
  return listNewest(stream, subjects, (message) => listedEntry(stream, message, true));
}

/** All revisions of a key, the oldest first. */
export function listHistory(stream: KvStream, key: string): AsyncIterable<KvEntry> {
  const subject = stream.subjectOf(key, "read the history");
  return listAll(stream, subject, (message) => new StoredEntry(key, operationOf(message), message));
}

/** What is there, and each change. */
export function watchEntries(
  stream: KvStream,
  filter: string | readonly string[],
  given?: KvWatchOptions,
): AsyncIterable<KvEntry> {
  const { ignoreDeletes = false, metaOnly, initialized, signal, ...options } = checkKvWatchOptions(given);
  const doing = "watch the keys";
  const subjects = disjointSubjects(filter, doing, (each) => stream.subjectsOf(each, doing));
  const from = options.resumeFrom ?? (options.updatesOnly ? "new" : options.includeHistory ? "all" : "last");
  return watchBucket(
    stream,
    { filter: subjects, from, headersOnly: metaOnly, initialized, signal },
    (message) => listedEntry(stream, message, ignoreDeletes),
  );
}

function listedEntry(stream: KvStream, message: StoredMessage, onlyValues: boolean): KvEntry | null {
  const operation = operationOf(message);
  if (onlyValues && operation !== "put") return null;
  return new StoredEntry(stream.keyOf(message.subject), operation, message);
}
