// @ts-check
/**
 * The core's API on a page: one worker, started at first use. What each call takes and
 * gives is in `core.d.ts`.
 */

/** @typedef {import('./core.d.ts').Core} Core */
/** @typedef {import('./core.d.ts').OnProgress} OnProgress */

/** A refusal of the core or of the server. */
export class CoreError extends Error {
  /** @param {{code: string, message: string, field?: string, limit?: string, value?: string}} said */
  constructor(said) {
    super(said.message);
    this.name = 'CoreError';
    this.code = said.code;
    this.field = said.field;
    this.limit = said.limit;
    this.value = said.value;
  }
}

/** Whether this browser can run everything. */
export function coreSupport() {
  const wasm = typeof WebAssembly === 'object' && typeof Worker === 'function';
  const files = typeof navigator === 'object' && !!navigator.storage && 'getDirectory' in navigator.storage;
  const locks = typeof navigator === 'object' && 'locks' in navigator;
  const missing = [];
  if (!wasm) missing.push('WebAssembly');
  if (!files) missing.push('private file system');
  if (!locks) missing.push('web locks');
  return { wasm, files, locks, missing };
}

/** @param {Blob | string} file */
async function bytesOf(file) {
  if (typeof file === 'string') return new TextEncoder().encode(file);
  return new Uint8Array(await file.arrayBuffer());
}

/** Passphrases are compared as bytes: the same characters are the same bytes.
 * @param {string} text
 */
const plain = (text) => text.normalize('NFC');

class Client {
  /** @param {string} base @param {OnProgress | undefined} onProgress */
  constructor(base, onProgress) {
    this.base = base;
    this.onProgress = onProgress;
    this.next = 1;
    /** @type {Map<number, {resolve: (v: any) => void, reject: (e: Error) => void, onProgress: OnProgress | undefined}>} */
    this.waiting = new Map();
    /** @type {Worker | null} */
    this.worker = null;
    /** @type {Promise<unknown> | null} */
    this.started = null;
  }

  begin() {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'veilbourse-core' });
    worker.onmessage = (event) => this.#heard(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail({ code: 'INTERNAL', message: event.message || 'the core stopped' });
    };
    this.worker = worker;
    this.started = this.#post('begin', { base: this.base }, {});
    return this.started;
  }

  /** @param {any} m */
  #heard(m) {
    const call = this.waiting.get(m.id);
    if (!call) return;
    if (m.progress) {
      call.onProgress?.(m.progress);
      return;
    }
    this.waiting.delete(m.id);
    if (m.error) {
      call.reject(new CoreError(m.error));
      if (m.error.fatal) this.#fail(m.error);
    } else call.resolve({ value: m.value, files: m.files });
  }

  /** @param {{code: string, message: string}} said */
  #fail(said) {
    for (const call of this.waiting.values()) call.reject(new CoreError(said));
    this.waiting.clear();
    this.worker?.terminate();
    this.worker = null;
    this.started = null;
  }

  /**
   * @param {string} method
   * @param {any} args
   * @param {{blob?: Blob, bytes?: Uint8Array, onProgress?: OnProgress | undefined}} more
   * @returns {Promise<{value: any, files: {name: string, type: string, bytes: Uint8Array}[]}>}
   */
  #post(method, args, { blob, bytes, onProgress }) {
    return new Promise((resolve, reject) => {
      const id = this.next;
      this.next += 1;
      this.waiting.set(id, { resolve, reject, onProgress: onProgress ?? this.onProgress });
      this.worker?.postMessage({ id, method, args, blob, bytes });
    });
  }

  /**
   * @param {string} method
   * @param {any} [args]
   * @param {{blob?: Blob, bytes?: Uint8Array, onProgress?: OnProgress | undefined}} [more]
   */
  async call(method, args = {}, more = {}) {
    await (this.started ?? this.begin());
    return this.#post(method, args, more);
  }

  /** @param {string} method @param {any} [args] @param {{blob?: Blob, bytes?: Uint8Array, onProgress?: OnProgress | undefined}} [more] */
  async value(method, args, more) {
    return (await this.call(method, args, more)).value;
  }

  close() {
    this.#fail({ code: 'CANCELLED', message: 'the core was closed' });
  }

  async cancel() {
    this.#fail({ code: 'CANCELLED', message: 'cancelled' });
    await this.begin();
  }
}

/** @param {{name: string, type: string, bytes: Uint8Array}} file */
const blobOf = (file) => new Blob([/** @type {BlobPart} */ (file.bytes)], { type: file.type });

/** @type {Promise<Core> | null} */
let opened = null;

/**
 * @param {{onProgress?: OnProgress, base?: string}} [options]
 * @returns {Promise<Core>}
 */
export function openCore(options = {}) {
  opened ??= open(options).catch((e) => {
    opened = null;
    throw e;
  });
  return opened;
}

/**
 * @param {{onProgress?: OnProgress, base?: string}} options
 * @returns {Promise<Core>}
 */
async function open({ onProgress, base }) {
  const { wasm } = coreSupport();
  if (!wasm) throw new CoreError({ code: 'UNSUPPORTED', message: 'this browser has no WebAssembly', field: 'wasm' });
  const c = new Client(base ?? location.origin, onProgress);
  await c.begin();
  /** @type {Core} */
  const core = {
    close: () => {
      opened = null;
      c.close();
    },
    cancel: () => c.cancel(),
    version: () => c.value('version'),

    inspect: (file, schema, name, o) => c.value('inspect', { schema: schema ?? null, name: name ?? null }, { blob: file, ...o }),
    schemaToml: (schema) => c.value('schemaToml', { schema }),
    schemaFromToml: (toml) => c.value('schemaFromToml', { toml }),
    verifyReceipt: async (file, trust, o) =>
      c.value('verifyReceipt', { marketplace: trust?.marketplace ?? null }, { bytes: await bytesOf(file), ...o }),
    listing: (id) => c.value('listing', { id }),
    fit: (listing, query, o) => c.value('fit', { listing, query }, o),
    runOnTwin: (fit, o) => c.value('runOnTwin', { fit }, o),
    quote: (fit, wish) => c.value('quote', { fit, wish: wish ?? null }),
    quoteCheck: (fit, quote, wish) => c.value('quoteCheck', { fit, quote, wish: wish ?? null }),
    previewClasses: (ask) => c.value('previewClasses', ask),
    checkCommittee: (file) => c.value('checkCommittee', { file }),

    vaultState: () => c.value('vaultState'),
    vaultCreate: (passphrase) => c.value('vaultCreate', { passphrase: plain(passphrase) }),
    vaultUnlock: (passphrase) => c.value('vaultUnlock', { passphrase: plain(passphrase) }),
    vaultLock: () => c.value('vaultLock'),
    vaultPassphrase: (old, fresh) => c.value('vaultPassphrase', { old: plain(old), fresh: plain(fresh) }),
    vaultExport: async () => {
      const { files } = await c.call('vaultExport');
      const [file] = files;
      if (!file) throw new CoreError({ code: 'INTERNAL', message: 'no backup was made' });
      return blobOf(file);
    },
    vaultImport: async (file, passphrase) =>
      c.value('vaultImport', { passphrase: plain(passphrase) }, { bytes: await bytesOf(file) }),
    vaultDestroy: (passphrase) => c.value('vaultDestroy', { passphrase: plain(passphrase) }),
    signingKey: () => c.value('signingKey'),
    registrationFor: (account) => c.value('registrationFor', { account }),
    registerKey: (account) => c.value('registerKey', { account }),
    marketplaceKey: () => c.value('marketplaceKey'),
    pinMarketplace: (key) => c.value('pinMarketplace', { key }),

    drafts: () => c.value('drafts'),
    encrypt: ({ file, schema, seed }, o) => c.value('encrypt', { schema, seed: seed ?? null }, { blob: file, ...o }),
    removeDraft: (id) => c.value('removeDraft', { id }),
    listingDraft: (ask) => c.value('listingDraft', ask),
    upload: ({ id }, o) => c.value('upload', { id }, o),
    deal: (ask, o) => c.value('deal', ask, o),
    uploadTickets: ({ id }, o) => c.value('uploadTickets', { id }, o),
    signPolicy: (ask) => c.value('signPolicy', ask),
    submit: ({ id }) => c.value('submit', { id }),
    updatePolicy: ({ id }) => c.value('updatePolicy', { id }),
    exportDataset: async (id) => {
      const { files } = await c.call('exportDataset', { id });
      return files.map((f) => ({ name: f.name, file: blobOf(f) }));
    },

    place: (ask, o) => c.value('place', ask, o),
    placeAgain: (digest) => c.value('placeAgain', { digest }),
    orders: () => c.value('orders'),
    open: async (order, o) => {
      const { value, files } = await c.call('open', { order }, o);
      const [receipt] = files;
      if (!receipt) throw new CoreError({ code: 'INTERNAL', message: 'there is no receipt' });
      return { ...value, receipt: blobOf(receipt) };
    },
    train: (order, ask) => c.value('train', { order, ...ask }),
  };
  return core;
}
