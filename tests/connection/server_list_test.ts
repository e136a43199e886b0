import { assertEquals, assertThrows } from "@std/assert";
import { serverList } from "../../src/connection/_server_list.ts";

/** The parts of a server that a test names; the rest is that of `nats://host:4222`. */
function server(host: string, rest: Record<string, unknown> = {}) {
  return { url: host, host, websocket: false, secure: false, user: undefined, password: undefined, ...rest };
}

const LISTS: [string | string[], ReturnType<typeof server>[]][] = [
  ["h", [server("h:4222")]],
  ["h:1,nats://i", [server("h:1"), server("i:4222")]],
  ["nats://u:p@h1,nats://h2", [server("h1:4222", { user: "u", password: "p" }), server("h2:4222")]],
  ["u:p@h", [server("h:4222", { user: "u", password: "p" })]],
  ["tls://h", [server("h:4222", { secure: true })]],
  ["[::1]", [server("[::1]:4222")]],
  ["nats://u:p@[::1]:1", [server("[::1]:1", { user: "u", password: "p" })]],
  ["ws://h", [server("h:80", { url: "ws://h:80", websocket: true })]],
  ["wss://h/a/b", [server("h:443", { url: "wss://h:443/a/b", websocket: true })]],
  ["ws://u:p@h:1/", [server("h:1", { url: "ws://h:1", websocket: true, user: "u", password: "p" })]],
  ["nats://h:4222/", [server("h:4222")]],
  [["nats://u:a,b@h"], [server("h:4222", { user: "u", password: "a,b" })]],
  ["nats://u:a%2Cb%40%23%25@h", [server("h:4222", { user: "u", password: "a,b@#%" })]],
  ["nats://u:a b@c@h", [server("h:4222", { user: "u", password: "a b@c" })]],
  ["NATS://Example.COM", [server("example.com:4222")]],
];

for (const [written, servers] of LISTS) {
  Deno.test(`serverList parses ${JSON.stringify(written)}`, () => assertEquals(serverList(written, "x"), servers));
}

const MALFORMED: [string | string[], string][] = [
  ["nats://svc:hunter2,rest@10.0.0.1", "write a comma in a user or password as %2C"],
  ["nats://svc:1234,rest@10.0.0.1", "number 2 of 2 has a user or password but no scheme"],
  ["nats://tok,en@h", "and write a comma in a user or password as %2C"],
  ["nats://u:p@ss,x@h", "number 2 of 2 has a user or password but no scheme"],
  ["nats://u:12#34@h", "number 1 of 1 has a character that must be percent-encoded"],
  ["nats://u:12?34@h", "must be percent-encoded"],
  ["nats://u:12/34@h", "must be percent-encoded"],
  ["ws://u:12/34@h", "must be percent-encoded"],
  ["ws://u:12\\34@h", "must be percent-encoded"],
  ["nats://u:100%@h", "is no percent-encoding (a plain one is %25)"],
  ["nats://u:a\nb@h", "has a control character"],
  ["http://h", "has another scheme"],
  ["constructor://h", "has another scheme"],
  ["nats://h:0", "has port 0"],
  ["nats://h:65536", "a port from 1 to 65535"],
  ["nats://", "has no valid host name"],
  ["nats://u:p@", "no URL"],
  ["ws://h/?token=x", "must be percent-encoded"],
  [["nats://h", "ws://h"], "must not mix websocket"],
  [[], "must name at least one server"],
];

for (const [written, message] of MALFORMED) {
  Deno.test(`serverList throws for ${JSON.stringify(written)}`, () => {
    assertThrows(() => serverList(written, "'servers'"), RangeError, message);
  });
}
