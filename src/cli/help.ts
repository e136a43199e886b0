import type { Command } from "commander";

/** `help`: explains a command, which may be one of a group: `help queue publish`. */
export function helpCommand(program: Command): void {
  program.helpCommand(false).command("help")
    .description("explain a command, for instance help queue publish")
    .argument("[command...]")
    .action((names: string[]) => {
      let found = program;
      for (const name of names) {
        const next: Command | undefined = found.commands.find((command) => command.name() === name);
        if (next === undefined) return found.error(`error: unknown command '${name}'`);
        found = next;
      }
      found.help();
    });
}
