/**
 * Paths of files. `node:path` would do the same, but to load it takes a seventh of a program's start.
 *
 * @module
 */

const isWindows = Deno.build.os === "windows";
/** A path's last separator, or the ones that stand together there. */
const LAST_SEPARATOR = isWindows ? /[/\\]+(?=[^/\\]*$)/ : /\/+(?=[^/]*$)/;
const ABSOLUTE = isWindows ? /^([/\\]|[a-z]:[/\\])/i : /^\//;

/** The folder of a file's path. */
export function folderOf(path: string): string {
  const separator = LAST_SEPARATOR.exec(path);
  if (separator === null) return ".";
  const folder = path.slice(0, separator.index);
  // A root is its separator.
  return folder === "" || folder.endsWith(":") ? `${folder}${separator[0][0]}` : folder;
}

/** Whether a path begins at a root. */
export function isAbsolute(path: string): boolean {
  return ABSOLUTE.test(path);
}
