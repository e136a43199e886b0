/** Paths of PEM files, as `startNatsServer({ tls })` takes them, with a client certificate of the same authority. */
export interface Certificates extends AsyncDisposable {
  ca: string;
  cert: string;
  key: string;
  clientCert: string;
  clientKey: string;
}

/** Makes an authority with one certificate for 127.0.0.1 and one for a client, in a temporary directory that disposal removes. */
export async function makeCertificates(): Promise<Certificates> {
  const directory = await Deno.makeTempDir({ prefix: "certificates-" });
  await openssl(directory, "req", "-x509", ...newKey("ca"), "-days", "2", "-out", "ca.pem");
  await Deno.writeTextFile(`${directory}/names`, "subjectAltName = IP:127.0.0.1, DNS:localhost\n");
  for (const name of ["server", "client"]) {
    await openssl(directory, "req", "-new", ...newKey(name), "-out", `${name}.csr`);
    const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
    await openssl(directory, "x509", "-req", "-in", `${name}.csr`, ...authority, "-out", `${name}.pem`);
  }
  return {
    ca: `${directory}/ca.pem`,
    cert: `${directory}/server.pem`,
    key: `${directory}/server.key`,
    clientCert: `${directory}/client.pem`,
    clientKey: `${directory}/client.key`,
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

function newKey(name: string): string[] {
  return ["-newkey", "rsa:2048", "-nodes", "-keyout", `${name}.key`, "-subj", `/CN=${name}`];
}

async function openssl(cwd: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd }).output();
  if (!success) throw new Error(`openssl ${args[0]} failed: ${new TextDecoder().decode(stderr)}`);
}
