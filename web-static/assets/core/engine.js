// @ts-check
/**
 * The core without a browser: calls in order, the vault stored before an answer is
 * given, storage grown where it is too small. `worker.js` lends it the browser's
 * files, locks and requests; tests lend it others.
 */

/**
 * @typedef {object} Storage Files by name, all of it synchronous but mount and grow.
 * @property {() => Promise<void>} mount
 * @property {() => void} unmount
 * @property {(files: number) => Promise<void>} grow
 * @property {() => Promise<void>} clear
 * @property {(name: string, create: boolean) => number} open
 * @property {(name: string) => boolean} exists
 * @property {(file: number, at: number, into: Uint8Array) => number} read
 * @property {(file: number, at: number, bytes: Uint8Array) => void} write
 * @property {(file: number) => number} length
 * @property {(file: number, length: number) => void} truncate
 * @property {(file: number) => void} sync
 * @property {(file: number) => void} close
 * @property {(name: string) => boolean} remove
 * @property {(from: string, to: string) => void} rename
 * @property {(prefix: string) => string[]} list
 * @property {(files: number) => boolean} room
 */

/**
 * @typedef {object} VaultStore
 * @property {() => Promise<Uint8Array | null>} load
 * @property {(bytes: Uint8Array) => Promise<void>} save
 * @property {() => Promise<void>} erase
 */

/**
 * @typedef {object} Lock One holder of vault and files among all tabs.
 * @property {() => Promise<boolean>} take
 * @property {() => void} give
 * @property {() => Promise<boolean>} taken
 */

/**
 * @typedef {object} Wasm What `pkg/core.js` exports.
 * @property {(page: object, base: string) => void} start
 * @property {(method: string, args: string, input?: number, file?: Uint8Array) => Promise<any>} call
 * @property {() => string} version
 */

/**
 * @typedef {object} Given
 * @property {any} value
 * @property {{name: string, type: string, bytes: Uint8Array}[]} files
 */

/** @typedef {(stage: string, done: number, total: number) => void} OnStep */

/**
 * @param {string} code
 * @param {string} message
 * @param {{field?: string, limit?: string, value?: string}} [more]
 */
export function refusal(code, message, more = {}) {
  return { code, message, ...more };
}

/**
 * `fetch` as the core asks for it: bounded, timed, with the session's cookie and the
 * header that no other site can send.
 * @param {typeof fetch} fetcher
 * @param {string} method
 * @param {string} url
 * @param {string[]} pairs
 * @param {Uint8Array | undefined} body
 * @param {number[]} limits
 * @param {number} milliseconds
 */
export async function send(fetcher, method, url, pairs, body, limits, milliseconds) {
  /** @type {Record<string, string>} */
  const headers = { 'x-veilbourse': 'web' };
  for (let i = 0; i + 1 < pairs.length; i += 2) headers[pairs[i] ?? ''] = pairs[i + 1] ?? '';
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), Math.min(milliseconds, 2 ** 31 - 1));
  try {
    const response = await fetcher(url, {
      method,
      headers,
      body: /** @type {BodyInit | null} */ (body ?? null),
      credentials: 'same-origin',
      redirect: 'error',
      cache: 'no-store',
      signal: abort.signal,
    });
    const [limit = 0, ofError = 0] = limits;
    const fair = response.ok || limit === ofError;
    const content = await bounded(response, fair ? limit : ofError, fair);
    return {
      status: response.status,
      offset: response.headers.get('upload-offset') ?? undefined,
      body: content,
    };
  } catch (e) {
    if (abort.signal.aborted) throw { timeout: 1, message: 'no answer in time' };
    throw e;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {Response} response
 * @param {number} limit
 * @param {boolean} strict Whether more than the limit is refused, or given up on.
 */
async function bounded(response, limit, strict) {
  const tooLarge = (/** @type {number} */ value) => {
    if (strict) throw { tooLarge: value, limit, message: 'the answer is too large' };
    return new Uint8Array();
  };
  const announced = Number(response.headers.get('content-length') ?? 0);
  if (announced > limit) return tooLarge(announced);
  if (!response.body) return new Uint8Array();
  const reader = response.body.getReader();
  /** @type {Uint8Array[]} */
  const pieces = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limit) {
      await reader.cancel();
      return tooLarge(length);
    }
    pieces.push(value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Methods that need the files of drafts. */
const FILES = new Set(['encrypt', 'drafts', 'removeDraft', 'listingDraft', 'upload', 'previewClasses',
  'dealStep', 'uploadTickets', 'signPolicy', 'submit', 'updatePolicy', 'exportDataset']);

/** Methods after which the server has what only the vault can make use of: an order
 * whose key could not be stored is not placed by the next call either. */
const SENDS = new Set(['sign', 'placeAgain', 'registerKey', 'listingDraft', 'upload', 'dealStep', 'uploadTickets',
  'submit', 'updatePolicy']);

export class Engine {
  /**
   * @param {object} parts
   * @param {Wasm} parts.wasm
   * @param {string} parts.base
   * @param {Storage} parts.storage
   * @param {VaultStore} parts.vault
   * @param {Lock} parts.lock
   * @param {typeof fetch} parts.fetcher
   * @param {(blob: any, at: number, into: Uint8Array) => number} parts.readBlob
   */
  constructor({ wasm, base, storage, vault, lock, fetcher, readBlob }) {
    this.wasm = wasm;
    this.storage = storage;
    this.vault = vault;
    this.lock = lock;
    /** @type {OnStep} */
    this.step = () => {};
    /** @type {any} */
    this.input = null;
    this.unlocked = false;
    /** What the program gave to be stored and nothing has stored yet.
     * @type {Uint8Array | null} */
    this.owed = null;
    /** @type {string | null} */
    this.panic = null;
    /** @type {Promise<unknown>} */
    this.last = Promise.resolve();
    const s = storage;
    wasm.start(
      {
        open: s.open.bind(s),
        exists: s.exists.bind(s),
        read: s.read.bind(s),
        write: s.write.bind(s),
        length: s.length.bind(s),
        truncate: s.truncate.bind(s),
        sync: s.sync.bind(s),
        close: s.close.bind(s),
        remove: s.remove.bind(s),
        rename: s.rename.bind(s),
        list: s.list.bind(s),
        room: s.room.bind(s),
        /** @param {any[]} a */
        send: (...a) => send(fetcher, a[0], a[1], a[2], a[3], a[4], a[5]),
        /** @type {(at: number, into: Uint8Array) => number} */
        readInput: (at, into) => readBlob(this.input, at, into),
        /** @type {OnStep} */
        progress: (stage, done, total) => this.step(stage, done, total),
        now: () => Date.now(),
        seconds: () => performance.now() / 1000,
        panicked: (/** @type {string} */ message) => {
          this.panic = message;
        },
      },
      base,
    );
  }

  /**
   * A call after those before it.
   * @param {string} method
   * @param {any} args
   * @param {{blob?: any, bytes?: Uint8Array, step?: OnStep}} [more]
   * @returns {Promise<Given>}
   */
  run(method, args, more = {}) {
    const next = this.last.then(() => this.#run(method, args, more));
    this.last = next.catch(() => {});
    return next;
  }

  /**
   * @param {string} method
   * @param {any} args
   * @param {{blob?: any, bytes?: Uint8Array, step?: OnStep}} more
   * @returns {Promise<Given>}
   */
  async #run(method, args, { blob, bytes, step }) {
    this.step = step ?? (() => {});
    this.input = blob ?? null;
    switch (method) {
      case 'version':
        return only({ version: this.wasm.version() });
      case 'vaultState':
        return only(await this.#state());
      // Another tab may change what is stored until the lock is held: it is looked
      // at behind it (VLT-8).
      case 'vaultCreate':
        return this.#unlocking(async () => {
          if (await this.vault.load()) throw refusal('VAULT_EXISTS', 'there is a vault already');
          return this.#fresh(method, args);
        });
      case 'vaultUnlock':
        return this.#unlocking(async () => {
          await this.#store();
          return this.#call(method, args, await this.#stored());
        });
      case 'vaultLock': {
        // What cannot be stored was told to whoever asked for it; it keeps nothing open.
        await this.#store().catch(() => {});
        this.owed = null;
        await this.#call(method, args);
        this.#give();
        return only(null);
      }
      case 'vaultPassphrase':
        return this.#withState(await this.#call(method, args, await this.#stored()));
      case 'vaultImport': {
        if (this.unlocked) return this.#withState(await this.#call(method, args, bytes));
        return this.#unlocking(async () => {
          if (await this.vault.load()) {
            throw refusal('VAULT_LOCKED', 'unlock the vault that is here first: what the file holds is added to it');
          }
          return this.#fresh(method, args, bytes);
        });
      }
      case 'vaultDestroy': {
        if (!this.unlocked && !(await this.lock.take())) throw inUse();
        const held = this.unlocked;
        try {
          await this.#call('vaultCheck', args, await this.#stored());
        } catch (e) {
          if (!held) this.#give();
          throw e;
        }
        this.owed = null;
        try {
          await this.#call('vaultLock', {});
          await this.vault.erase();
          await this.storage.clear();
        } finally {
          this.#give();
        }
        return only(null);
      }
      case 'deal':
        return this.#deal(args);
      case 'place': {
        const signed = await this.#call('sign', args);
        return this.#call('placeAgain', { digest: signed.value.digest });
      }
      default:
        return this.#call(method, args, bytes);
    }
  }

  async #stored() {
    const file = await this.vault.load();
    if (!file) throw refusal('VAULT_MISSING', 'there is no vault in this browser yet');
    return file;
  }

  async #state() {
    const { value } = await this.#call('vaultState', {});
    const exists = this.unlocked || (await this.vault.load()) !== null;
    return { exists, inUse: !this.unlocked && (await this.lock.taken()), ...value };
  }

  /** @param {Given} given */
  async #withState(given) {
    given.value = await this.#state();
    return given;
  }

  /** A new vault: files of one before it could not be read any more.
   * @param {string} method
   * @param {any} args
   * @param {Uint8Array} [bytes]
   */
  async #fresh(method, args, bytes) {
    const given = await this.#call(method, args, bytes);
    await this.storage.clear();
    await this.storage.mount();
    return given;
  }

  /** @param {() => Promise<Given>} call */
  async #unlocking(call) {
    const held = this.unlocked;
    if (!held && !(await this.lock.take())) throw inUse();
    try {
      if (!held) await this.storage.mount();
      const given = await call();
      this.unlocked = true;
      return await this.#withState(given);
    } catch (e) {
      if (!held) {
        // The program may have it open already, though nothing stored it.
        this.owed = null;
        await this.#call('vaultLock', {}).catch(() => {});
        this.#give();
      }
      throw e;
    }
  }

  #give() {
    this.unlocked = false;
    this.storage.unmount();
    this.lock.give();
  }

  /** What is planned, one dealing after the other, each uploaded when it is made.
   * @param {any} args
   */
  async #deal(args) {
    let given = await this.#call('dealStep', { ...args, first: true });
    for (;;) {
      const { left, listed } = given.value;
      if (listed && given.value.dealings.length > 0 && !given.value.uploaded) {
        const uploaded = await this.#call('uploadTickets', { id: args.id });
        given.value.uploaded = uploaded.value.uploaded;
      }
      if (!left) break;
      given = await this.#call('dealStep', { ...args, first: false });
    }
    delete given.value.left;
    delete given.value.listed;
    return given;
  }

  /**
   * One call of the program; the vault's new bytes are stored before it returns.
   * @param {string} method
   * @param {any} args
   * @param {Uint8Array} [bytes]
   * @returns {Promise<Given>}
   */
  async #call(method, args, bytes) {
    const text = JSON.stringify(args ?? {});
    await this.#store().catch((e) => {
      if (SENDS.has(method)) throw this.#said(e);
    });
    if (FILES.has(method) && this.unlocked && !this.storage.room(16)) await this.storage.grow(64);
    for (let attempt = 0; ; attempt += 1) {
      try {
        const length = this.input === null ? undefined : this.input.size ?? this.input.length;
        const given = await this.wasm.call(method, text, length, bytes);
        return await this.#taken(given);
      } catch (e) {
        const said = this.#said(e);
        if (said.code !== 'NEED_FILES' || attempt >= 1000) throw said;
        // Whatever ran goes on where it was cut off.
        await this.storage.grow(Math.max(64, Number(said.value ?? 0)));
      }
    }
  }

  /** @param {any} given */
  async #taken(given) {
    try {
      const vault = given.vault();
      if (vault) {
        this.owed = vault;
        await this.#store();
      }
      const files = [];
      for (let i = 0; i < given.files(); i += 1) {
        const [name = '', type = ''] = given.name(i);
        files.push({ name, type, bytes: given.bytes(i) });
      }
      return { value: JSON.parse(given.json()), files };
    } finally {
      given.free();
    }
  }

  async #store() {
    if (!this.owed) return;
    await this.vault.save(this.owed);
    this.owed = null;
  }

  /** @param {unknown} e */
  #said(e) {
    if (typeof e === 'string') {
      try {
        return JSON.parse(e);
      } catch {
        return refusal('INTERNAL', e);
      }
    }
    if (e && typeof e === 'object' && 'code' in e && typeof e.code === 'string') return e;
    const message = e instanceof Error ? e.message : String(e);
    // A program that stopped is not asked again: its worker ends.
    const fatal = e instanceof WebAssembly.RuntimeError;
    return { ...refusal('INTERNAL', this.panic ?? message), ...(fatal ? { fatal } : {}) };
  }
}

function inUse() {
  return refusal('IN_USE', 'another tab of this browser has the vault open');
}

/** @param {any} value */
function only(value) {
  return { value, files: [] };
}
