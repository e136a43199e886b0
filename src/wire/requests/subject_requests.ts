/** Subjects of one batched get: the server gives up at more than 1024 messages. */
const MAX_SUBJECTS = 1_000;

/** Cuts subjects into requests that the server takes. */
export function* subjectRequests(subjects: string[], maxPayload: number): Generator<string[]> {
  // What surrounds the subjects in the request has less than 200 bytes, each subject has quotes and a comma.
  const room = maxPayload - 200;
  let some: string[] = [];
  let size = 0;
  for (const subject of subjects) {
    if (some.length === MAX_SUBJECTS || (some.length > 0 && size + subject.length + 3 > room)) {
      yield some;
      some = [];
      size = 0;
    }
    some.push(subject);
    size += subject.length + 3;
  }
  if (some.length > 0) yield some;
}
