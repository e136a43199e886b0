/** Whether there is an executable file at this path. */
export async function isProgram(path: string): Promise<boolean> {
  try {
    const { isFile, mode } = await Deno.stat(path);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    // Directories on PATH may be closed to this user.
    if (error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}
