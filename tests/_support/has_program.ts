/** Whether a program is on the PATH and works. */
export async function hasProgram(program: string, argument: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: [argument] }).output()).success;
  } catch {
    return false;
  }
}
