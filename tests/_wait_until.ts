/** Waits until a condition holds: for what no event tells. */
export async function waitUntil(holds: () => boolean | Promise<boolean>, timeout: number = 10_000): Promise<void> {
  const deadline = performance.now() + timeout;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`Not within ${timeout} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
