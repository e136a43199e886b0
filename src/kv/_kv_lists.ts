import { listAll, listNewest } from "../bucket/list_messages.ts";
import { watchBucket } from "../bucket/watch.ts";
import { checkIterable } from "../checks.ts";
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
  const from = options.resumeFrom ?? (options.updatesOnly ? "new" : options.includeHistory ? "all" : "last");
  return watchBucket(
    stream,
    { filter: watchedSubjects(stream, filter), from, headersOnly: metaOnly, initialized, signal },
    (message) => listedEntry(stream, message, ignoreDeletes),
  );
}

/** The subjects of one or several filters; one that another has already is left out, as the server takes none that overlap. */
function watchedSubjects(stream: KvStream, filter: string | readonly string[]): string | string[] {
  const doing = "watch the keys";
  if (typeof filter === "string") return stream.subjectsOf(filter, doing);
  const subjects = [...new Set(checkIterable(filter, doing, "filter").map((each) => stream.subjectsOf(each, doing)))];
  if (subjects.length === 0) {
    throw new RangeError(`Cannot ${doing} as 'filter' must have at least one filter: it is empty`);
  }
  const others = subjects.filter((subject) => !subjects.some((other) => other !== subject && covers(other, subject)));
  return others.length === 1 ? others[0] : others;
}

/** Whether all subjects of one filter are subjects of another. */
function covers(filter: string, part: string): boolean {
  const [wanted, tokens] = [filter.split("."), part.split(".")];
  for (const [i, token] of wanted.entries()) {
    if (token === ">") return tokens.length > i;
    if (tokens[i] === undefined || tokens[i] === ">") return false;
    if (token !== "*" && token !== tokens[i]) return false;
  }
  return wanted.length === tokens.length;
}

function listedEntry(stream: KvStream, message: StoredMessage, onlyValues: boolean): KvEntry | null {
  const operation = operationOf(message);
  if (onlyValues && operation !== "put") return null;
  return new StoredEntry(stream.keyOf(message.subject), operation, message);
}
