// @ts-check
/**
 * The browser's files, locks and vault, as the engine asks for them.
 *
 * Files: the origin private file system gives synchronous handles, but opens them
 * asynchronously; so a pool of them is open while the vault is, and a file is one of
 * the pool with its name in its first 4096 bytes.
 */

const HEADER = 4096;
const MAGIC = 0x31464256; // VBF1
const FOLDER = 'veilbourse';

/** @param {Uint8Array} bytes */
function checksum(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/**
 * @typedef {object} Sync What `createSyncAccessHandle` gives.
 * @property {(into: Uint8Array, o: {at: number}) => number} read
 * @property {(bytes: Uint8Array, o: {at: number}) => number} write
 * @property {() => number} getSize
 * @property {(length: number) => void} truncate
 * @property {() => void} flush
 * @property {() => void} close
 */

/** Files by name over a pool of synchronous handles. */
export class Pool {
  /** @param {{list: () => Promise<Sync[]>, more: (count: number) => Promise<Sync[]>, erase: () => Promise<void>}} source */
  constructor(source) {
    this.source = source;
    /** @type {Sync[]} */
    this.handles = [];
    /** @type {Map<string, number>} */
    this.names = new Map();
    /** @type {number[]} */
    this.free = [];
    this.serial = 1;
  }

  async mount() {
    this.unmount();
    for (const handle of await this.source.list()) this.#adopt(handle);
    if (!this.room(64)) await this.grow(64);
  }

  /** @param {Sync} handle */
  #adopt(handle) {
    const slot = this.handles.push(handle) - 1;
    const found = header(handle);
    if (!found) {
      // What a crash left behind a torn header goes: whoever took the file next
      // would write under its nonce, and find its end behind their own (VLT-7).
      if (handle.getSize() > 0) this.#release(slot);
      else this.free.push(slot);
      return;
    }
    this.serial = Math.max(this.serial, found.serial + 1);
    const other = this.names.get(found.name);
    if (other !== undefined) {
      // A replacement that was cut off: the later of the two is the file.
      const before = header(/** @type {Sync} */ (this.handles[other]));
      const older = before && before.serial > found.serial ? slot : other;
      this.#release(older);
      if (older === slot) return;
    }
    this.names.set(found.name, slot);
  }

  unmount() {
    for (const handle of this.handles) handle.close();
    this.handles = [];
    this.names.clear();
    this.free = [];
  }

  /** @param {number} files */
  async grow(files) {
    for (const handle of await this.source.more(files)) {
      this.free.push(this.handles.push(handle) - 1);
    }
  }

  async clear() {
    this.unmount();
    await this.source.erase();
  }

  /** @param {number} slot */
  #handle(slot) {
    const handle = this.handles[slot];
    if (!handle) throw new Error('no such file is open');
    return handle;
  }

  /** @param {number} slot @param {string} name */
  #label(slot, name) {
    const text = new TextEncoder().encode(name);
    if (text.length > 1024) throw new Error('a name is too long');
    const block = new Uint8Array(HEADER);
    const view = new DataView(block.buffer);
    view.setUint32(0, MAGIC, true);
    view.setFloat64(8, this.serial, true);
    view.setUint32(16, text.length, true);
    block.set(text, 20);
    view.setUint32(4, checksum(block.subarray(8)), true);
    this.serial += 1;
    put(this.#handle(slot), block, 0);
  }

  /** @param {number} slot */
  #release(slot) {
    const handle = this.#handle(slot);
    handle.truncate(0);
    handle.flush();
    this.free.push(slot);
  }

  /** @param {string} name @param {boolean} create */
  open(name, create) {
    const known = this.names.get(name);
    if (known !== undefined) return known;
    if (!create) throw new Error(`${name}: there is no such file`);
    const slot = this.free.pop();
    if (slot === undefined) throw new Error('NEED_FILES');
    this.#label(slot, name);
    this.names.set(name, slot);
    return slot;
  }

  /** @param {string} name */
  exists(name) {
    return this.names.has(name);
  }

  /** @param {number} file @param {number} at @param {Uint8Array} into */
  read(file, at, into) {
    return this.#handle(file).read(into, { at: HEADER + at });
  }

  /** @param {number} file @param {number} at @param {Uint8Array} bytes */
  write(file, at, bytes) {
    put(this.#handle(file), bytes, HEADER + at);
  }

  /** @param {number} file */
  length(file) {
    return Math.max(0, this.#handle(file).getSize() - HEADER);
  }

  /** @param {number} file @param {number} length */
  truncate(file, length) {
    this.#handle(file).truncate(HEADER + length);
  }

  /** @param {number} file */
  sync(file) {
    this.#handle(file).flush();
  }

  /** Handles stay open while the pool is. */
  close() {}

  /** @param {string} name */
  remove(name) {
    const slot = this.names.get(name);
    if (slot === undefined) return false;
    this.names.delete(name);
    this.#release(slot);
    return true;
  }

  /** @param {string} from @param {string} to */
  rename(from, to) {
    const slot = this.names.get(from);
    if (slot === undefined) throw new Error(`${from}: there is no such file`);
    const old = this.names.get(to);
    // Once its new name is on disk it is the file, whatever else is.
    this.#label(slot, to);
    this.#handle(slot).flush();
    this.names.delete(from);
    this.names.set(to, slot);
    if (old !== undefined && old !== slot) this.#release(old);
  }

  /** @param {string} prefix */
  list(prefix) {
    return [...this.names.keys()].filter((n) => n.startsWith(prefix)).sort();
  }

  /** @param {number} files */
  room(files) {
    return this.free.length >= files;
  }
}

/** @param {Sync} handle @param {Uint8Array} bytes @param {number} at */
function put(handle, bytes, at) {
  const written = handle.write(bytes, { at });
  if (written !== bytes.length) throw new Error('the storage is full');
}

/** @param {Sync} handle */
function header(handle) {
  if (handle.getSize() < HEADER) return null;
  const block = new Uint8Array(HEADER);
  if (handle.read(block, { at: 0 }) !== HEADER) return null;
  const view = new DataView(block.buffer);
  const length = view.getUint32(16, true);
  if (view.getUint32(0, true) !== MAGIC || length > 1024) return null;
  if (view.getUint32(4, true) !== checksum(block.subarray(8))) return null;
  const name = new TextDecoder().decode(block.subarray(20, 20 + length));
  return { name, serial: view.getFloat64(8, true) };
}

/** The origin private file system. */
export function privateFiles() {
  const folder = async () => {
    const root = await navigator.storage.getDirectory();
    return root.getDirectoryHandle(FOLDER, { create: true });
  };
  /** @param {any} file @returns {Promise<Sync>} */
  const handle = (file) => file.createSyncAccessHandle();
  return {
    async list() {
      const found = [];
      const all = /** @type {any} */ (await folder());
      for await (const file of all.values()) found.push(await handle(file));
      return found;
    },
    /** @param {number} count */
    async more(count) {
      const into = await folder();
      const made = [];
      for (let i = 0; i < count; i += 1) {
        made.push(await handle(await into.getFileHandle(crypto.randomUUID(), { create: true })));
      }
      return made;
    },
    async erase() {
      const root = await navigator.storage.getDirectory();
      try {
        await root.removeEntry(FOLDER, { recursive: true });
      } catch (e) {
        if (!(e instanceof DOMException) || e.name !== 'NotFoundError') throw e;
      }
    },
  };
}

/** The sealed vault in IndexedDB. */
export function vaultStore() {
  const open = () =>
    new Promise((/** @type {(db: IDBDatabase) => void} */ resolve, reject) => {
      const request = indexedDB.open('veilbourse', 1);
      request.onupgradeneeded = () => request.result.createObjectStore('vault');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  /**
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T>}
   */
  const within = async (mode, act) => {
    const db = await open();
    try {
      return await new Promise((resolve, reject) => {
        const transaction = db.transaction('vault', mode, { durability: 'strict' });
        const request = act(transaction.objectStore('vault'));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = () => reject(transaction.error);
        transaction.onerror = () => reject(transaction.error);
      });
    } finally {
      db.close();
    }
  };
  return {
    /** @returns {Promise<Uint8Array | null>} */
    load: async () => (await within('readonly', (s) => s.get('vault'))) ?? null,
    /** @param {Uint8Array} bytes */
    save: async (bytes) => {
      await within('readwrite', (s) => s.put(bytes, 'vault'));
    },
    erase: async () => {
      await within('readwrite', (s) => s.delete('vault'));
    },
  };
}

/** One tab at a time. */
export function tabLock() {
  const NAME = 'veilbourse-vault';
  /** @type {(() => void) | null} */
  let release = null;
  return {
    /** @returns {Promise<boolean>} */
    take: () =>
      new Promise((resolve, reject) => {
        navigator.locks
          .request(NAME, { ifAvailable: true }, (lock) => {
            if (!lock) {
              resolve(false);
              return undefined;
            }
            return new Promise((done) => {
              release = () => done(undefined);
              resolve(true);
            });
          })
          .catch(reject);
      }),
    give: () => {
      release?.();
      release = null;
    },
    taken: async () => {
      const { held } = await navigator.locks.query();
      return release === null && (held ?? []).some((l) => l.name === NAME);
    },
  };
}
