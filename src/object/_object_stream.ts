import { Buffer } from "node:buffer";
import type { BucketOptions } from "../bucket/bucket_options.ts";
import { BucketStream } from "../bucket/bucket_stream.ts";
import type { Context } from "../wire/context.ts";
import { encodeObjectName } from "../wire/tokens.ts";

/** Text with characters of U+0080 to U+00FF, and none above. */
const LATIN_1 = /^[^\u0100-\uffff]*[\u0080-\u00ff][^\u0100-\uffff]*$/;

/** The stream under an object bucket: its configuration, and the subjects of infos and chunks. */
export class ObjectStream extends BucketStream {
  /** Subjects of all infos. */
  readonly infoSubjects: string;
  #last = { name: "", info: "" };

  constructor(context: Context, bucket: string, options: BucketOptions = {}) {
    const infos = `$O.${bucket}.M.>`;
    super(context, bucket, options, {
      kind: "object bucket",
      stream: `OBJ_${bucket}`,
      prefix: (bucket) => `$O.${bucket}.`,
      subjects: [`$O.${bucket}.C.>`, infos],
    });
    this.infoSubjects = infos;
  }

  /** Subject of an object's info. The last one is kept, as the call that checks a name uses it next. */
  infoSubject(name: string): string {
    if (name !== this.#last.name) this.#last = { name, info: `$O.${this.bucket}.M.${encodeObjectName(name)}` };
    return this.#last.info;
  }

  /** Subject of the same info as the JavaScript clients spell it, if that is another one. */
  latin1InfoSubject(name: string): string | undefined {
    if (!LATIN_1.test(name)) return undefined;
    const base64 = Buffer.from(name, "latin1").toString("base64");
    return `$O.${this.bucket}.M.${base64.replaceAll("+", "-").replaceAll("/", "_")}`;
  }

  /** Subject of an object's chunks. */
  chunkSubject(nuid: string): string {
    return `$O.${this.bucket}.C.${nuid}`;
  }
}
