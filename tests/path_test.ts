import { assertEquals } from "@std/assert";
import * as node from "node:path";
import { folderOf, isAbsolute } from "../lib/util/path.ts";

Deno.test("folderOf and isAbsolute say what node:path does of a file's path", () => {
  const folders = ["", "data/", "/", "/srv/", "//srv/data/", "./", "../", "a b/ü/", "a.b/", ":"];
  if (Deno.build.os === "windows") folders.push("C:\\", "C:\\data\\", "\\", "a/b\\", "C:/");
  for (const folder of folders) {
    for (const file of ["table.db", ".db", "a b"]) {
      const path = `${folder}${file}`;
      assertEquals(folderOf(path), node.dirname(path), path);
      assertEquals(isAbsolute(path), node.isAbsolute(path), path);
    }
  }
});
