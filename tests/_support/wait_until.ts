/** Waits until a condition holds: for what no event tells. */
export async function waitUntil(holds: () => boolean | Promise<boolean>, timeout: number = 60_000): Promise<void> {
  const deadline = performance.now() + timeout;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`Not within ${timeout} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits for a promise, but not for ever: a test that fails must not hang. */
export async function within<T>(promise: Promise<T>, timeout: number = 60_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${timeout} ms`)), timeout);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
