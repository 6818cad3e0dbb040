/**
 * Makes a program take itself for a compiled one.
 *
 * ```sh
 * deno run --preload=tests/support/standalone.ts server.ts
 * ```
 *
 * @module
 */

Object.defineProperty(Deno, "build", { value: { ...Deno.build, standalone: true } });
