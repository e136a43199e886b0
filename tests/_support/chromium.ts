const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of a Chromium, or `null`: there is none on this machine. */
export const CHROMIUM: string | null = Deno.env.get("CHROMIUM") ?? PROGRAMS.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}) ?? null;

/** What the name of a test says where there is no browser. */
export const UNLESS = CHROMIUM === null ? " (not tested here: no Chromium, which CHROMIUM can name)" : "";
