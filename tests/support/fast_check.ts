/**
 * The one place that names fast-check, which makes the random inputs of property tests.
 *
 * @module
 */

export { default as fc } from "npm:fast-check@^4.10.2";
