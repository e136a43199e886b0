import type { Command } from "commander";
import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { dashboard, type DashboardOptions } from "../dashboard/mod.ts";
import { CommandFailure, EXIT } from "./command_failure.ts";
import type { CommandLine } from "./command_line.ts";
import { variable } from "./environment.ts";

/** Addresses on which only this machine can reach it. */
const LOOPBACK = ["127.0.0.1", "localhost", "::1"];

interface DashboardCommandOptions {
  port: string;
  host: string;
  token?: string;
  readOnly?: boolean;
}

/** `dashboard`: serves the web page. */
export function dashboardCommand(program: Command, line: CommandLine): void {
  program.command("dashboard")
    .description("serve a web page over queues, keys and objects, until Ctrl-C")
    .option("-p, --port <port>", "the port; 0: one that is free", "8080")
    .option("--host <host>", "the address to listen on", "127.0.0.1")
    .option("--token <token>", "what a browser has to give as its password (or SUPERCHECK_DASHBOARD_TOKEN)")
    .option("--read-only", "nothing can be changed")
    .addHelpText(
      "after",
      `
It listens on loopback unless there is a token.

Examples:
  cli dashboard
  SUPERCHECK_DASHBOARD_TOKEN=… cli dashboard --host 0.0.0.0 --read-only`,
    )
    .action(
      async ({ port, host, token = variable("SUPERCHECK_DASHBOARD_TOKEN"), readOnly }: DashboardCommandOptions) => {
        const number = Number(port);
        if (!/^\d+$/.test(port) || number > 65_535) {
          throw new CommandFailure("--port must be a whole number from 0 to 65535", EXIT.usage);
        }
        const local = LOOPBACK.includes(host);
        if (!local && token === undefined) {
          throw new CommandFailure(
            `--host ${host} lets others in: give a --token, or SUPERCHECK_DASHBOARD_TOKEN`,
            EXIT.usage,
          );
        }
        await line.withNats(async ({ stores }) => {
          const handler = dashboard({ stores, readOnly: readOnly === true, authorize: authorizer(token) });
          const server = Deno.serve({
            port: number,
            hostname: host,
            signal: line.signal,
            onListen: ({ hostname, port }) =>
              line.screen.print(`http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/`),
          }, handler);
          await server.finished;
        }, { follows: true, patient: true });
      },
    );
}

/** Admits requests that carry the token; without one, the dashboard admits requests for a loopback host only. */
function authorizer(token: string | undefined): DashboardOptions["authorize"] {
  if (token === undefined) return undefined;
  const wanted = digest(token);
  return ({ headers }) => {
    const given = /^Basic ([A-Za-z0-9+/=]+)$/.exec(headers.get("authorization") ?? "")?.[1] ?? "";
    const text = Buffer.from(given, "base64").toString();
    if (timingSafeEqual(digest(text.slice(text.indexOf(":") + 1)), wanted)) return true;
    return new Response("The token is wanted as the password", {
      status: 401,
      headers: { "www-authenticate": 'Basic realm="JetStream", charset="UTF-8"' },
    });
  };
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
