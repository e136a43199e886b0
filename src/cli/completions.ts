import { Argument, type Command, type Option } from "commander";
import type { CommandLine } from "./command_line.ts";

/** The shells that there are completions for. */
const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** What can follow a command, by the words that lead to it (`queue publish`). */
interface Completions {
  path: string;
  words: { word: string; description: string }[];
}

/** `completions`: prints a script that completes commands and options in a shell. */
export function completionsCommand(program: Command, line: CommandLine): void {
  program.command("completions")
    .description("print a script that completes commands and options in a shell")
    .addArgument(new Argument("<shell>").choices(Object.keys(SHELLS)))
    .addHelpText(
      "after",
      `
Examples:
  cli completions bash > ~/.local/share/bash-completion/completions/cli
  cli completions zsh > ~/.zfunc/_cli       with fpath+=~/.zfunc before compinit
  cli completions fish > ~/.config/fish/completions/cli.fish`,
    )
    .action((shell: keyof typeof SHELLS) =>
      line.screen.print(...SHELLS[shell](program.name(), completionsOf(program, program.options)))
    );
}

function completionsOf(command: Command, common: readonly Option[], path: string[] = []): Completions[] {
  const options = command === command.parent ? [] : [...new Set([...command.options, ...common])];
  const words = [
    ...command.commands.map((child) => ({ word: child.name(), description: child.description() })),
    ...options.flatMap(({ long, description }) => long ? [{ word: long, description }] : []),
    { word: "--help", description: "explain this command" },
  ];
  const below = command.commands.flatMap((child) => completionsOf(child, common, [...path, child.name()]));
  return [{ path: path.join(" "), words }, ...below];
}

/** All paths, each between bars: what looks like a command and is the value of an option is in none. */
function pathList(completions: Completions[]): string {
  return `|${completions.map(({ path }) => path).filter(Boolean).join("|")}|`;
}

function bashScript(name: string, completions: Completions[]): string[] {
  const id = `_${name.replace(/\W/g, "_")}`;
  return [
    `# bash completion of ${name}`,
    `${id}() {`,
    `  local path="" word words=""`,
    `  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do`,
    `    case "${pathList(completions)}" in *"|\${path:+$path }$word|"*) path="\${path:+$path }$word" ;; esac`,
    `  done`,
    `  case "$path" in`,
    ...completions.map(({ path, words }) => `    "${path}") words="${words.map(({ word }) => word).join(" ")}" ;;`),
    `  esac`,
    `  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))`,
    `}`,
    `complete -o default -F ${id} ${name}`,
  ];
}

function zshScript(name: string, completions: Completions[]): string[] {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const escape = (text: string) => text.replace(/[\\:]/g, "\\$&");
  const choice = ({ word, description }: Completions["words"][number]) => quote(`${word}:${escape(description)}`);
  return [
    `#compdef ${name}`,
    `local place="" word`,
    `local -a choices`,
    'for word in "${(@)words[2,CURRENT-1]}"; do',
    `  case "${pathList(completions)}" in *"|\${place:+$place }$word|"*) place="\${place:+$place }$word" ;; esac`,
    `done`,
    `case "$place" in`,
    ...completions.map(({ path, words }) => `  "${path}") choices=(${words.map(choice).join(" ")}) ;;`),
    `esac`,
    `_describe ${quote(name)} choices || _files`,
  ];
}

function fishScript(name: string, completions: Completions[]): string[] {
  const quote = (text: string) => `'${text.replace(/['\\]/g, "\\$&")}'`;
  return completions.flatMap(({ path, words }) => {
    const [first, second] = path === "" ? [] : path.split(" ");
    const condition = second !== undefined
      ? `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`
      : first !== undefined
      ? `__fish_seen_subcommand_from ${first}`
      : "__fish_use_subcommand";
    return words.map(({ word, description }) => {
      const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-f -a ${word}`;
      return `complete -c ${name} -n ${quote(condition)} ${what} -d ${quote(description)}`;
    });
  });
}
