/**
 * What a browser would send. A page that a browser shows may reach any port on loopback, and must
 * not reach a table there.
 *
 * @module
 */

// RFC 9112, section 3: method, one space, then a path, `*`, an absolute URI, or an authority.
const REQUEST_LINE = /(?:(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|PATCH|PRI) [/*h]|CONNECT )/y;

const EQUALS = 61;

/** Whether the line that begins at `start` begins as a request of HTTP does. */
export function beginsAsHttp(text: string, start: number = 0): boolean {
  // `OP=`, as nearly every line begins, and no method has so few letters.
  if (text.charCodeAt(start + 2) === EQUALS) return false;
  REQUEST_LINE.lastIndex = start;
  return REQUEST_LINE.test(text);
}
