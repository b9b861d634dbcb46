// A whole embedded market as one process: `veilbourse market` on a free port,
// everything in a fresh folder that is removed at the end.

import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BINARY = process.env.VEILBOURSE_BINARY ?? join(ROOT, 'target/release/veilbourse');
/** What a market says when pod, committee and sample are there. */
const OPEN = /The market is open: (https?:\/\/\S+)/;
/** Longest start: the first makes reference string and verifying keys. */
const START_MS = 600_000;
/** What the first start makes and every market of this binary can share: nothing secret. */
const SHARED = ['srs-dev.bin', 'accepted-keys.json'];

/** A folder for what is shared, by the binary that made it. */
async function shared() {
  const { size, mtimeMs } = await stat(BINARY);
  return join(ROOT, 'target', 'journeys', `${size}-${Math.round(mtimeMs)}`);
}

export class Market {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  url = '';
  log = '';
  /** @type {string[]} */
  #args = [];
  /** @param {string} dir */
  constructor(dir) {
    this.dir = dir;
  }

  /** A market in a fresh folder. @param {string[]} args */
  static async start(args = []) {
    const market = new Market(await mkdtemp(join(tmpdir(), 'veilbourse-market-')));
    const kept = await shared();
    const folder = join(market.dir, 'm');
    await mkdir(folder);
    for (const f of SHARED) await copyFile(join(kept, f), join(folder, f)).catch(() => {});
    await market.run(args);
    await mkdir(kept, { recursive: true });
    for (const f of SHARED) {
      if (await stat(join(kept, f)).catch(() => null)) continue;
      // Whole or not at all: the next start takes it as it is.
      const fresh = join(kept, `${f}.${process.pid}`);
      await copyFile(join(folder, f), fresh);
      await rename(fresh, join(kept, f));
    }
    return market;
  }

  /** Starts, or starts again in the same folder at the same address. @param {string[]} [args] */
  async run(args) {
    this.#args = args ?? this.#args;
    const listen = this.url ? new URL(this.url).host : '127.0.0.1:0';
    const child = spawn(BINARY, ['market', '--dir', join(this.dir, 'm'), '--listen', listen, ...this.#args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    this.#process = child;
    let out = '';
    child.stderr?.on('data', (b) => (this.log += b));
    await new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error(`the market is not open after ${START_MS / 1000} s:\n${this.log}`)), START_MS);
      child.on('error', (e) => fail(new Error(`${BINARY}: ${e.message}`)));
      child.on('exit', (code) => fail(new Error(`the market ended with ${code}:\n${this.log}`)));
      child.stdout?.on('data', (b) => {
        out += b;
        this.log += b;
        const found = out.match(OPEN);
        if (found?.[1]) {
          clearTimeout(late);
          this.url = found[1];
          done(undefined);
        }
      });
    });
  }

  /**
   * The passwords that the market made.
   * @returns {Promise<Record<'admin' | 'auditor' | 'operator' | 'custodian', {mail: string, password: string}>>}
   */
  async passwords() {
    return JSON.parse(await readFile(join(this.dir, 'm', 'passwords.json'), 'utf8'));
  }

  /**
   * The program as somebody runs it against this market, in a folder of its own.
   * @param {string[]} args
   * @param {{mail: string, password: string}} who
   */
  async command(args, who) {
    const cwd = await mkdtemp(join(this.dir, 'at-'));
    const child = spawn(BINARY, args, {
      cwd, stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, VEILBOURSE_SERVER: this.url, VEILBOURSE_EMAIL: who.mail, VEILBOURSE_PASSWORD: who.password },
    });
    let out = '';
    for (const s of [child.stdout, child.stderr]) s.on('data', (b) => (out += b));
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`veilbourse ${args.join(' ')} ended with ${code}:\n${out}`);
    return out;
  }

  /** As a crash would: no goodbye. */
  async kill(signal = /** @type {NodeJS.Signals} */ ('SIGKILL')) {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.removeAllListeners('exit');
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** Ends it as Ctrl-C does, at last by force, and removes its folder. */
  async stop() {
    const forced = setTimeout(() => void this.kill('SIGKILL'), 30_000);
    await this.kill('SIGINT');
    clearTimeout(forced);
    await rm(this.dir, { recursive: true, force: true });
  }

  /**
   * One GraphQL operation as a program does it: by a token, or as nobody.
   * @param {string} query
   * @param {object} [variables]
   * @param {string} [token]
   * @returns {Promise<any>}
   */
  async gql(query, variables = {}, token) {
    const r = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify({ query, variables }),
    });
    const answer = await r.json();
    if (answer.errors) throw new Error(`${query.slice(0, 80)}: ${JSON.stringify(answer.errors)}`);
    return answer.data;
  }

  /** A token of an account. @param {{mail: string, password: string}} who @returns {Promise<string>} */
  async token(who) {
    return (await this.gql('mutation($m: String!, $p: String!) { login(mail: $m, password: $p) { access } }', { m: who.mail, p: who.password })).login.access;
  }

  /**
   * An account with a confirmed address, made as a program makes it: for
   * journeys whose subject is something else.
   * @param {string} name
   * @param {string[]} roles
   */
  async account(name, roles) {
    const who = { name, mail: `${name.toLowerCase().replaceAll(' ', '.')}@journeys.example`, password: 'a long enough password 1' };
    await this.gql('mutation($mail: String!, $name: String!, $password: String!, $roles: [AccountRole!]!) { register(mail: $mail, name: $name, password: $password, roles: $roles) { id } }', { ...who, roles });
    const token = await this.letter(who.mail, /\/verify-mail#([0-9a-f]+)/);
    await this.gql('mutation($t: String!) { verifyMail(token: $t) }', { t: token });
    return who;
  }

  /**
   * What a letter to an address says; waits until it is written.
   * @param {string} address
   * @param {RegExp} wanted with one group
   * @returns {Promise<string>}
   */
  async letter(address, wanted) {
    for (let i = 0; i < 60; i += 1) {
      const all = (await this.gql('query($a: String!) { localMails(address: $a) { text } }', { a: address })).localMails;
      for (const m of all) {
        const found = wanted.exec(m.text);
        if (found?.[1]) return found[1];
      }
      await new Promise((r) => setTimeout(r, 250));
    }
    throw new Error(`no letter to ${address} has ${wanted}`);
  }

  /**
   * Money for an account: asked for, and booked by the admin.
   * @param {{mail: string, password: string}} who
   * @param {string} minor
   */
  async deposit(who, minor) {
    const asked = await this.gql('mutation($a: Money!, $k: String!) { requestDeposit(amount: $a, idempotencyKey: $k) { id } }', { a: minor, k: crypto.randomUUID() }, await this.token(who));
    const admin = await this.token((await this.passwords()).admin);
    await this.gql('mutation($id: String!) { decideDeposit(id: $id, approve: true, reason: "journey") { decision } }', { id: asked.requestDeposit.id }, admin);
  }
}
