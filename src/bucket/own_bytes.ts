/**
 * A copy of the caller's bytes, as they are now: the caller may change them while they wait to be sent, or to be sent again. Works for bytes over
 * resizable and shared memory, too.
 *
 * @param option The argument's name, for the message.
 * @throws {TypeError} If their memory was transferred elsewhere, or is smaller by now than they say.
 */
export function ownBytes(bytes: Uint8Array, doing: string, option: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new TypeError(`Cannot ${doing} as '${option}' must have its bytes: their buffer was transferred or shrunk`, {
      cause,
    });
  }
}

/** Whether a value is bytes; of another realm, too, and without an error for a proxy that was revoked. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === "[object Uint8Array]";
}
