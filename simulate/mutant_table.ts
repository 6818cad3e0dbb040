/**
 * All mutants.
 *
 * @module
 */

import type { Mutant } from "./mutant.ts";
import { PROXY_MUTANTS } from "./proxy_mutants.ts";
import { SERVER_MUTANTS } from "./server_mutants.ts";

/** All of them. */
export const MUTANTS: readonly Mutant[] = [...SERVER_MUTANTS, ...PROXY_MUTANTS];
