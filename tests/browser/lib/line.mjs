// A line between a browser and a market that a test can slow, cut and mend; it
// notes the requests that begin on it.

import { createServer, connect } from 'node:net';
import { once } from 'node:events';

/** A request's head, wherever it begins in what is sent. */
const HEAD = /([A-Z]{3,6}) (\/[^ \r\n]*) HTTP\/1\.1\r\n([\s\S]*?)\r\n\r\n/g;
/** Longest head that is noted. */
const MOST = 8_192;

export class Line {
  /** @type {{method: string, path: string, headers: Record<string, string>}[]} */
  requests = [];
  /** @type {Set<import('node:net').Socket>} */
  #open = new Set();
  #whole = true;
  /** Bytes a second from the browser; 0: as fast as it goes. */
  #rate = 0;
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
      let rest = '';
      near.on('data', (b) => {
        rest = this.#note(rest + b.toString('latin1'));
        far.write(b);
        if (this.#rate > 0) {
          near.pause();
          setTimeout(() => near.resume(), (1000 * b.length) / this.#rate);
        }
      });
      near.on('end', () => far.end());
    });
  }

  /** Notes the heads in a text; what may be the beginning of one is given back. @param {string} text */
  #note(text) {
    let end = 0;
    for (const m of text.matchAll(HEAD)) {
      const headers = Object.fromEntries((m[3] ?? '').split('\r\n').map((l) => [l.slice(0, l.indexOf(':')).toLowerCase(), l.slice(l.indexOf(':') + 1).trim()]));
      this.requests.push({ method: m[1] ?? '', path: m[2] ?? '', headers });
      end = m.index + m[0].length;
    }
    return text.slice(Math.max(end, text.length - MOST));
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
