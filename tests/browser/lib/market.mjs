// A whole embedded market as one process: `veilbourse market` on a free port,
// everything in a fresh folder that is removed at the end.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BINARY = process.env.VEILBOURSE_BINARY ?? join(ROOT, 'target/release/veilbourse');
const READY = /https?:\/\/(?:127\.0\.0\.1|localhost):\d+/;

export class Market {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  url = '';
  log = '';
  /** @param {string} dir */
  constructor(dir) {
    this.dir = dir;
  }

  /** A market in a fresh folder. @param {string[]} args */
  static async start(args = []) {
    const market = new Market(await mkdtemp(join(tmpdir(), 'veilbourse-market-')));
    await market.run(args);
    return market;
  }

  /** Starts (again) in the same folder. @param {string[]} args */
  async run(args = []) {
    const listen = this.url ? new URL(this.url).host : '127.0.0.1:0';
    const child = spawn(BINARY, ['market', '--dir', join(this.dir, 'm'), '--listen', listen, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    this.#process = child;
    let out = '';
    child.stderr?.on('data', (b) => (this.log += b));
    await new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error(`no address within 180 s:\n${out}\n${this.log}`)), 180_000);
      child.on('exit', (code) => fail(new Error(`market ended with ${code}:\n${out}\n${this.log}`)));
      child.stdout?.on('data', (b) => {
        out += b;
        this.log += b;
        const found = out.match(READY);
        if (found) {
          clearTimeout(late);
          this.url = found[0];
          done(undefined);
        }
      });
    });
  }

  /** The passwords that the market made. @returns {Promise<any>} */
  async passwords() {
    return JSON.parse(await readFile(join(this.dir, 'm', 'passwords.json'), 'utf8'));
  }

  /** As a crash would: no goodbye. */
  async kill(signal = /** @type {NodeJS.Signals} */ ('SIGKILL')) {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.removeAllListeners('exit');
    child.kill(signal);
    await once(child, 'exit');
  }

  async stop() {
    await this.kill('SIGINT');
    await rm(this.dir, { recursive: true, force: true });
  }

  /** One GraphQL operation, without a session. @param {string} query @param {object} variables */
  async gql(query, variables = {}) {
    const r = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const answer = await r.json();
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
    return answer.data;
  }
}
