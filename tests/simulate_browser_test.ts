/**
 * The library in a realm without Deno: what a browser is, for a page on which a simulated session runs.
 */

import { assertEquals } from "@std/assert";
import { packageFlags } from "../lib/cli/permissions.ts";
import { Folder } from "./support/folder.ts";
import { ROOT } from "./support/program.ts";
import { within } from "./support/within.ts";

/** What no browser has, and what nothing may ask that gets its time and chance from a seed. */
const REALM = `
  // A browser delivers a message as a task, when no microtask is left; Deno does so among these.
  const soon = setImmediate;
  globalThis.MessageChannel = class {
    port1 = { onmessage: undefined };
    port2 = { postMessage: (data) => soon(() => this.port1.onmessage({ data })) };
  };
  for (const name of ["Deno", "process", "Buffer", "global", "setImmediate", "clearImmediate"]) {
    delete globalThis[name];
  }
  const refuse = (object, name) => {
    Object.defineProperty(object, name, { value() { throw new Error(name + " was asked"); } });
  };
  for (const name of ["setTimeout", "setInterval", "fetch"]) refuse(globalThis, name);
  for (const [object, name] of [[Date, "now"], [Math, "random"], [performance, "now"]]) {
    refuse(object, name);
  }
  globalThis.load = (name) => { throw new Error(name + " was loaded"); };
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...of) {
      if (of.length === 0) throw new Error("the time was asked");
      super(...of);
    }
  };
  self.onmessage = ({ data }) => import(data).catch((error) => postMessage([String(error)]));
`;

Deno.test("simulate: a session runs in a browser's realm, from a bundle without Deno and node", async () => {
  await using folder = new Folder();
  const bundle = folder.path("session.js");
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform", "browser", ...packageFlags(), "--output", bundle],
      "tests/support/browser_session.ts",
    ],
    cwd: ROOT,
  }).output();
  assertEquals(success, true, new TextDecoder().decode(stderr));
  const text = await Deno.readTextFile(bundle);
  assertEquals(text.match(/^\s*import\b[^(].*$/gm), null, "nothing is loaded with it");

  const worker = new Worker(`data:text/javascript,${encodeURIComponent(REALM)}`, {
    type: "module",
  });
  try {
    const played = Promise.withResolvers<string[]>();
    worker.onmessage = ({ data }) => played.resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      played.reject(new Error(event.message));
    };
    // What a bundle loads later, SQLite for a file, would be found here, and is in no browser.
    const closed = text.replaceAll(/\bimport\(/g, "load(");
    worker.postMessage(`data:text/javascript,${encodeURIComponent(closed)}`);
    assertEquals(await within(played.promise, "the session", 180_000), [
      "near → OP=PUT;IND=1,7;DATA=5,6;",
      "near ← OP=PUT;IND=1,7;DATA=5,6;",
      "far → OP=ADD;IND=1,7;",
      "far ← OP=ADD;IND=1,7;DATA=11;",
      "near → OP=GET;IND=7,1;",
      "p: hit 7,1",
      "near ← OP=GET;IND=7,1;DATA=6,5;",
      "far → OP=PUT;IND=7;DATA=8;",
      "p: drop 7 (invalidation)",
      "far ← OP=PUT;IND=7;DATA=8;",
      "near → OP=GET;IND=7;",
      "p: miss 7",
      "near ← OP=GET;IND=7;DATA=8;",
      "near → OP=ADD;IND=1,7;",
      "p: hit 1,7",
      "near ← OP=ADD;IND=1,7;DATA=13;",
      "near → OP=GET;IND=99;",
      "near ← OP=ERR;DATA=404;MSG=index 99 is outside the table: it has 0 to 9;",
      "TableError 404",
      "UnreachableError cannot reach s:2: Connection refused (os error 111)",
      "cache: 5,8",
      "p: drop all (disconnected)",
    ]);
  } finally {
    worker.terminate();
  }
});
