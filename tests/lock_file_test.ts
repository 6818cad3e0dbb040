/**
 * The lock file beside a table's file: whom it keeps off, and which file it knows again.
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { LockFile } from "../lib/server/store/lock_file.ts";
import { MAX_CHECKPOINT_MS } from "../lib/protocol/limits.ts";
import { Folder } from "./support/folder.ts";

/** Takes a lock file that nobody has. */
function taken(path: string): LockFile {
  const lock = LockFile.take(path);
  assert(lock !== undefined, "nobody has it");
  return lock;
}

Deno.test("lock file: one has it, until it is released; an empty one is removed then", async () => {
  await using folder = new Folder();
  const path = folder.path("a-lock");
  for (let i = 0; i < 2; i++) {
    const lock = taken(path);
    assertEquals([LockFile.take(path), LockFile.take(path)], [undefined, undefined]);
    assertEquals(Object.keys(folder.contents()), ["a-lock"]);
    lock.release();
    assertEquals(Object.keys(folder.contents()), []);
  }
  const lock = taken(path);
  lock.record({ mtimeMs: 1, size: 2 }, LOG, false);
  lock.release();
  assertEquals(Object.keys(folder.contents()), ["a-lock"]);
});

Deno.test("lock file: one that was removed by whoever had it, after it was opened, is not taken for the lock", async () => {
  await using folder = new Folder();
  const path = folder.path("a-lock");
  const first = taken(path);
  const { tryLockSync } = Deno.FsFile.prototype;
  let tries = 0;
  Deno.FsFile.prototype.tryLockSync = function (exclusive?: boolean): boolean {
    // Just between the opening and the lock.
    if (++tries === 1) first.release();
    return tryLockSync.call(this, exclusive);
  };
  try {
    const second = taken(path);
    assertEquals(tries, 2);
    assertEquals(LockFile.take(path), undefined);
    second.release();
  } finally {
    Deno.FsFile.prototype.tryLockSync = tryLockSync;
  }
});

Deno.test("lock file: releasing it does not remove that of another, if somebody removed ours", async () => {
  await using folder = new Folder();
  const path = folder.path("a-lock");
  const first = taken(path);
  Deno.removeSync(path);
  const second = taken(path);
  first.release();
  assertEquals(LockFile.take(path), undefined);
  second.release();
});

const FILE = { mtimeMs: Date.parse("2026-11-21T10:00:00.123Z"), size: 8192 };
const LOG = { salt: 2 ** 32 - 1, copied: 7, whole: true };
const OTHERS = [{ ...FILE, size: 12288 }, { ...FILE, mtimeMs: FILE.mtimeMs + 1 }];

Deno.test("lock file: it knows the file again that was recorded, also for the next that takes it", async () => {
  await using folder = new Folder();
  const path = folder.path("a-lock");
  let lock = taken(path);
  // Nothing is known yet.
  for (const file of [FILE, ...OTHERS]) assertEquals(lock.fits(file), true);
  lock.record(OTHERS[0]!, LOG, true);
  lock.record(FILE, LOG, false);
  for (let i = 0; i < 2; i++) {
    assertEquals([FILE, ...OTHERS].map((file) => lock.fits(file)), [true, false, false]);
    lock.release();
    lock = taken(path);
  }
  assertEquals(JSON.parse(Deno.readTextFileSync(path)), {
    ...FILE,
    ...LOG,
    changing: false,
    lock: Deno.statSync(path).ino,
  });
  lock.forget();
  for (const file of [FILE, ...OTHERS]) assertEquals(lock.fits(file), true);
  lock.release();
});

Deno.test("lock file: while the file is changing it may look as it did, or as written since, for a while", async () => {
  await using folder = new Folder();
  const path = folder.path("a-lock");
  const lock = taken(path);
  lock.record(FILE, LOG, true);
  const since = Date.parse("2026-11-21T11:00:00.000Z");
  Deno.utimeSync(path, new Date(since), new Date(since));
  const writtenAt = (mtimeMs: number) => lock.fits({ mtimeMs, size: 4096 });
  assertEquals(lock.fits(FILE), true);
  const times = [since - 1, since, since + MAX_CHECKPOINT_MS, since + MAX_CHECKPOINT_MS + 1];
  assertEquals(times.map(writtenAt), [false, true, true, false]);
  lock.forget();
  lock.release();
});

Deno.test("lock file: a copy of one, a torn one and an empty one say nothing", async () => {
  await using folder = new Folder();
  const path = folder.path("a-lock"), copy = folder.path("b-lock");
  const lock = taken(path);
  lock.record(FILE, LOG, false);
  Deno.copyFileSync(path, copy);
  assertNotEquals(Deno.statSync(copy).ino, Deno.statSync(path).ino);
  const text = Deno.readTextFileSync(path);
  lock.release();
  const other = taken(copy);
  for (const file of OTHERS) assertEquals(other.fits(file), true);
  other.forget();
  other.release();
  for (let length = 0; length < text.trimEnd().length; length++) {
    for (const torn of [text.slice(0, length), text.slice(0, length).padEnd(text.length, " ")]) {
      Deno.writeTextFileSync(path, torn);
      const lock = taken(path);
      for (const file of OTHERS) assertEquals(lock.fits(file), true, torn);
      lock.forget();
      lock.release();
    }
  }
});
