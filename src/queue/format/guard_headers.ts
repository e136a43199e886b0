import type { HeaderList } from "./job_headers.ts";
import type { QueueNames } from "./queue_names.ts";

/** The headers by which the server stores a message only if the newest one of this job's id has the given sequence (0: there is none). */
export function guardHeaders(names: QueueNames, token: string, sequence: number): HeaderList {
  return [
    ["Nats-Expected-Last-Subject-Sequence", String(sequence)],
    ["Nats-Expected-Last-Subject-Sequence-Subject", names.idFilter(token)],
  ];
}
