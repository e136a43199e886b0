import { findProgram, PrivateProgram, type ProgramUser, runProgram } from "./_private_program.ts";

/** How PostgreSQL writes to disk here: what Redis does every second and nats-server every two minutes, it does three times a second. */
export const POSTGRES_DURABILITY = "synchronous_commit=off (commits reach the disk within 0.6 s)";

/** Where postgres is, or `null`. */
export function findPostgres(): string | null {
  return findProgram("postgres", debianDirectories());
}

/** Starts a private PostgreSQL with an empty cluster, or `null` if there is none on this machine. */
export async function startPostgres(): Promise<PrivateProgram | null> {
  const program = findPostgres();
  if (program === null) return null;
  // Where postgres is only linked to, initdb is not.
  const initdb = Deno.realPathSync(program).replace(/postgres$/, "initdb");
  const user = await unprivilegedUser();
  return await PrivateProgram.start({
    program,
    name: "postgres",
    signal: "SIGQUIT",
    user,
    prepare: (directory) =>
      runProgram(initdb, ["-D", `${directory}/data`, "-U", "bench", "--auth=trust", "--no-sync", "-E", "UTF8"], user),
    args: (directory, port) => [
      ...["-D", `${directory}/data`, "-p", String(port)],
      ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
      ...["-c", "synchronous_commit=off", "-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB"],
    ],
  });
}

function debianDirectories(): string[] {
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map(({ name }) => name);
    return versions.sort((a, b) => Number(b) - Number(a)).map((version) => `/usr/lib/postgresql/${version}/bin`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package made. */
async function unprivilegedUser(): Promise<ProgramUser> {
  if (Deno.uid() !== 0) return {};
  const id = async (flag: string) => Number(await runProgram("id", [flag, "postgres"]));
  return { uid: await id("-u"), gid: await id("-g") };
}
