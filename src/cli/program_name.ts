import { variable } from "./environment.ts";

/** Programs that run this one, and whose names are not the one it was installed as. */
const RUNNERS = new RegExp(
  "^(?:deno|deno\\.exe|sh|bash|zsh|dash|fish|env|npx|npm|node|bun|timeout|nice|ionice|taskset|nohup|setsid|stdbuf|script|" +
    "strace|sudo|doas|su|xargs|parallel|time|watch|systemd-run|systemd-inhibit)$",
);

/** What it is called in its documentation. */
const DEFAULT = "cli";

/**
 * The name that the command line was installed as, which its help and its completions use: of a program made by `deno compile` its file's, of one
 * made by `deno install` the one that the shell has looked up (`_`); where that is not known, `cli`.
 */
export function programName(): string {
  const path = Deno.build.standalone ? Deno.execPath() : variable("_") ?? "";
  const name = path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1).replace(/\.exe$/i, "");
  return /^[A-Za-z][\w.-]{0,40}$/.test(name) && !RUNNERS.test(name) ? name : DEFAULT;
}

/** The text of a help, with the commands of its examples under this name. */
export function underName(text: string, name: string): string {
  return name === DEFAULT ? text : text.replace(/(^|[\s|`(&])cli (?=[a-z-]|$)/gm, `$1${name} `);
}
