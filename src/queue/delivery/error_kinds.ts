import { JetStreamStoreError } from "../../errors.ts";
import { ErrorCode, isServerError } from "../../wire/api.ts";

/** Whether a message is larger than the server or its stream takes: that concerns one job, not the worker. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof RangeError || isServerError(error, ErrorCode.messageTooLarge);
}

/** Whether the server refuses something for good that all jobs need, such as a permission or room. */
export function isRefusal(error: unknown): error is JetStreamStoreError {
  return error instanceof JetStreamStoreError && !isTooLarge(error);
}
