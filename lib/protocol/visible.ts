/**
 * What a peer sent, as it may be shown.
 *
 * @module
 */

/**
 * What could steer a terminal, turn text round, or hide in it: control and format characters,
 * separators of lines and paragraphs, and whatever Unicode lets a program leave invisible.
 *
 * For `replaceAll`: it is global, and so has a state for `test` and `exec`.
 */
export const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** `text` with what could steer a terminal or hide in it replaced by its code: `\u{1b}`. */
export function visible(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => `\\u{${hex(character.codePointAt(0)!)}}`);
}

/** JSON in which that is escaped as JSON has it, `\u001b`, so that it stands for the same value. */
export function visibleJson(json: string): string {
  return json.replaceAll(UNPRINTABLE, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${hex(character.charCodeAt(i)).padStart(4, "0")}`,
    ).join(""));
}

function hex(code: number): string {
  return code.toString(16);
}
