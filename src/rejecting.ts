/**
 * Calls back, and rejects with what that throws at once. It is an `async` function without a promise and a generator of its own: in calls that are made
 * a hundred thousand times a second, each such layer costs a twentieth.
 */
export function rejecting<T>(callback: () => Promise<T>): Promise<T> {
  try {
    return callback();
  } catch (error) {
    return Promise.reject(error);
  }
}
