/** What a certificate is made for. */
export interface CertificateOptions {
  /**
   * Its names, as OpenSSL writes them.
   * @default "IP:127.0.0.1, DNS:localhost"
   */
  names?: string;
  /**
   * Days for which it is valid; a negative number makes one that has expired.
   * @default 2
   */
  days?: number;
}

/** Paths of PEM files, as `startNatsServer({ tls })` takes them, with a client certificate of the same authority. */
export interface Certificates extends AsyncDisposable {
  ca: string;
  cert: string;
  key: string;
  clientCert: string;
  clientKey: string;
  /** Makes another certificate of the same authority. */
  issue(name: string, options?: CertificateOptions): Promise<{ cert: string; key: string }>;
}

/** Makes an authority with one certificate for 127.0.0.1 and one for a client, in a temporary directory that disposal removes. */
export async function makeCertificates(): Promise<Certificates> {
  const directory = await Deno.makeTempDir({ prefix: "certificates-" });
  await openssl(directory, "req", "-x509", ...newKey("ca"), "-days", "2", "-out", "ca.pem");
  const issue = async (name: string, { names = "IP:127.0.0.1, DNS:localhost", days = 2 }: CertificateOptions = {}) => {
    await Deno.writeTextFile(`${directory}/${name}.names`, `subjectAltName = ${names}\n`);
    await openssl(directory, "req", "-new", ...newKey(name), "-out", `${name}.csr`);
    const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", `${days}`];
    const request = ["-req", "-in", `${name}.csr`, "-extfile", `${name}.names`];
    await openssl(directory, "x509", ...request, ...authority, "-out", `${name}.pem`);
    return { cert: `${directory}/${name}.pem`, key: `${directory}/${name}.key` };
  };
  const server = await issue("server");
  const client = await issue("client");
  return {
    ca: `${directory}/ca.pem`,
    ...server,
    clientCert: client.cert,
    clientKey: client.key,
    issue,
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
