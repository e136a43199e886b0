/** The file that `_lock_holder.ts` writes to, removed at disposal. */
export class LockLog implements AsyncDisposable {
  readonly path: string = Deno.makeTempFileSync();

  /** Fences in the order in which their holders wrote them. */
  holders(): number[] {
    return this.#fences("holds");
  }

  /** Fences that the resource refused. */
  refused(): number[] {
    return this.#fences("refused");
  }

  /**
   * Each holder that still wrote when another one had the lock already.
   *
   * @param suspended Fences of holders that were suspended: each may have been between its look at the signal and its write.
   */
  late(suspended: number[] = []): string[] {
    const late: string[] = [];
    const excused = new Set(suspended);
    let highest = 0;
    for (const fence of this.holders()) {
      if (fence < highest && !excused.delete(fence)) late.push(`${fence} after ${highest}`);
      highest = Math.max(highest, fence);
    }
    return late;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path);
  }

  #fences(what: string): number[] {
    const lines = Deno.readTextFileSync(this.path).split("\n").map((line) => line.split(" "));
    return lines.filter(([, said]) => said === what).map(([fence]) => Number(fence));
  }
}
