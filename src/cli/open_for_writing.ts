import type { CommandLine, Nats } from "./command_line.ts";

/** A bucket as far as it is of interest here. */
interface Bucket {
  name: string;
  status(): Promise<unknown>;
}

/**
 * Opens a bucket that is going to be written to. One that is not there yet will be made by the write; a note says so, as it may be a slip of
 * the pen.
 *
 * @param open Gives the bucket; with `ttl`, milliseconds, if it is one of the library's own that is not there yet: as the library would make it.
 */
export async function openForWriting<B extends Bucket>(
  nats: Nats,
  line: CommandLine,
  open: (ttl?: number) => B,
  own: { name: string; ttl: number },
): Promise<B> {
  const bucket = open();
  if (await nats.ask(bucket.status()) !== null) return bucket;
  line.hint(`Making bucket ${bucket.name}.`);
  return bucket.name === own.name ? open(own.ttl) : bucket;
}
