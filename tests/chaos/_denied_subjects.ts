import type { NatsServer } from "../../src/testing/mod.ts";

/** Lines of a configuration in which everybody may do everything, but publish to some subjects. */
export function accessConfig(denied: string[]): string {
  const publish = `publish: { allow: [">"], deny: ${JSON.stringify(denied)} }`;
  const user = `{ user: "anyone", password: "anyone", permissions: { ${publish}, subscribe: ">" } }`;
  return `no_auth_user: "anyone"\nauthorization { users: [${user}] }`;
}

/** Lets servers whose configuration ends with an {@linkcode accessConfig} deny these subjects from now on. */
export function denySubjects(servers: readonly NatsServer[], denied: string[]): void {
  for (const { storeDir, pid, running } of servers) {
    const path = storeDir.replace(/\/store$/, "/nats-server.conf");
    const config = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, `${config.slice(0, config.indexOf("no_auth_user"))}${accessConfig(denied)}\n`);
    if (running) Deno.kill(pid, "SIGHUP");
  }
}
