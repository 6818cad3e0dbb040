/**
 * What a node tells of the messages that pass through it.
 *
 * @module
 */

/**
 * Called for each message as it passes, and for what happens to a lease.
 *
 * @param from Who sent it: a role and an address, `client@127.0.0.1:40312`.
 * @param to Who gets it.
 * @param text The line, without its newline; or, between brackets, what happened.
 */
export type Trace = (from: string, to: string, text: string) => void;
