// A line between a browser and a market that a test can slow, cut and mend; it
// notes how many bytes went up it.

import { createServer, connect } from 'node:net';
import { once } from 'node:events';

export class Line {
  /** @type {Set<import('node:net').Socket>} */
  #open = new Set();
  #whole = true;
  /** Bytes a second from the browser; 0: as fast as it goes. */
  #rate = 0;
  sent = 0;
  url = '';
  /** @type {import('node:net').Server} */
  #server;

  /** @param {string} to */
  constructor(to) {
    const { hostname, port } = new URL(to);
    this.#server = createServer((near) => {
      if (!this.#whole) {
        near.destroy();
        return;
      }
      const far = connect(Number(port), hostname);
      for (const s of [near, far]) {
        this.#open.add(s);
        s.on('error', () => {});
        s.on('close', () => {
          this.#open.delete(s);
          near.destroy();
          far.destroy();
        });
      }
      far.pipe(near);
      near.on('data', (b) => {
        this.sent += b.length;
        far.write(b);
        if (this.#rate > 0) {
          near.pause();
          setTimeout(() => near.resume(), (1000 * b.length) / this.#rate);
        }
      });
      near.on('end', () => far.end());
    });
  }

  /** @param {string} to */
  static async to(to) {
    const line = new Line(to);
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    const at = line.#server.address();
    if (at === null || typeof at === 'string') throw new Error('no port');
    line.url = `http://127.0.0.1:${at.port}`;
    return line;
  }

  /** @param {number} bytesASecond */
  slow(bytesASecond) {
    this.#rate = bytesASecond;
  }

  cut() {
    this.#whole = false;
    for (const s of this.#open) s.destroy();
  }

  mend() {
    this.#whole = true;
  }

  close() {
    this.cut();
    this.#server.close();
  }
}
