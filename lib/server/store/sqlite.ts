/**
 * SQLite, as Deno has it.
 *
 * Loaded with this file, which is when a table is kept in a file. A declared import would stand at the
 * head of a bundle for browsers, which have no SQLite, and load at once.
 *
 * @module
 */

/** A database. */
export const DatabaseSync: typeof import("node:sqlite").DatabaseSync =
  (await import("node:sqlite")).DatabaseSync;
