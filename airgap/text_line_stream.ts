/**
 * Stand-in for `@std/streams/text-line-stream` where JSR cannot be reached.
 *
 * @module
 */

/**
 * Splits a stream of text into its lines, without their `\n` or `\r\n`.
 *
 * As the original does: a last line that nothing ends is handed on as if it were whole, and a line
 * has no limit in length. For standard input, then, not for sockets. The option `allowCR` of the
 * original is not offered: a lone `\r` is text.
 */
export class TextLineStream extends TransformStream<string, string> {
  /** Makes a stream with nothing pending. */
  constructor() {
    // The line that has begun and has no end yet. Only new text is searched, and appending to a
    // string that is not looked at copies nothing: the cost stays linear in the length of a line.
    let pending = "";
    super({
      transform(text, controller) {
        let start = 0;
        for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
          const line = pending + text.slice(start, end);
          controller.enqueue(line.endsWith("\r") ? line.slice(0, -1) : line);
          pending = "";
          start = end + 1;
        }
        pending += text.slice(start);
      },
      flush(controller) {
        if (pending !== "") controller.enqueue(pending);
      },
    });
  }
}
