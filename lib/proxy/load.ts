/**
 * How much of all clients' requests is pending or in flight at a proxy.
 *
 * @module
 */

import { MAX_CLIENTS_BYTES } from "../protocol/limits.ts";
import { bytesInHand } from "../protocol/message.ts";
import { Waiters } from "../util/waiters.ts";

/** How much of all clients' requests waits, at the server or for what does. */
export class Load {
  #requests = 0;
  #indices = 0;
  readonly #waiters = new Waiters();

  /** A request begins to wait. */
  begin(indices: number): void {
    this.#requests++;
    this.#indices += indices;
  }

  /** It waits no more. */
  end(indices: number): void {
    this.#requests--;
    this.#indices -= indices;
    this.look();
  }

  /** Has those who wait look again. */
  look(): void {
    this.#waiters.look();
  }

  /** Whether clients that have some in hand may add more. */
  get hasRoom(): boolean {
    return bytesInHand(this.#requests, this.#indices) <= MAX_CLIENTS_BYTES;
  }

  /** Resolves when they may, or `holds` does. */
  roomOr(holds: () => boolean): Promise<void> {
    return this.#waiters.until(() => this.hasRoom || holds());
  }
}
