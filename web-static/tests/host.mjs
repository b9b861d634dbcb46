// What tests lend the engine in place of a browser: files and vault in memory.
import { readFileSync } from 'node:fs';
import { Engine } from '../assets/core/engine.js';
import init, * as core from '../assets/core/pkg/core.js';
import { Pool } from '../assets/core/storage.js';

let ready = null;
/** The compiled core, once a process. */
export function wasm() {
  ready ??= init({
    module_or_path: readFileSync(new URL('../assets/core/pkg/core_bg.wasm', import.meta.url)),
  }).then(() => core);
  return ready;
}

/** A synchronous handle over memory, as the origin private file system gives them. */
export class MemoryHandle {
  constructor(disk) {
    this.disk = disk;
    this.bytes = new Uint8Array(0);
    this.open = true;
  }
  #alive() {
    if (!this.open) throw new Error('the handle is closed');
  }
  read(into, { at }) {
    this.#alive();
    const part = this.bytes.subarray(at, at + into.length);
    into.set(part);
    return part.length;
  }
  write(bytes, { at }) {
    this.#alive();
    if (at + bytes.length > this.bytes.length) this.truncate(at + bytes.length);
    this.bytes.set(bytes, at);
    this.disk.written += bytes.length;
    return bytes.length;
  }
  getSize() {
    return this.bytes.length;
  }
  truncate(length) {
    this.#alive();
    const next = new Uint8Array(length);
    next.set(this.bytes.subarray(0, length));
    this.bytes = next;
  }
  flush() {
    this.#alive();
  }
  close() {
    this.open = false;
  }
}

/** A disk that outlives its pools. */
export class MemoryDisk {
  constructor() {
    this.files = [];
    this.written = 0;
  }
  async list() {
    for (const f of this.files) f.open = true;
    return [...this.files];
  }
  async more(count) {
    const made = Array.from({ length: count }, () => new MemoryHandle(this));
    this.files.push(...made);
    return made;
  }
  async erase() {
    this.files = [];
  }
}

export class MemoryVault {
  constructor() {
    this.bytes = null;
    this.saves = 0;
  }
  async load() {
    return this.bytes;
  }
  async save(bytes) {
    this.bytes = bytes;
    this.saves += 1;
  }
  async erase() {
    this.bytes = null;
  }
}

/** One lock that several engines ask for. */
export class MemoryLock {
  constructor(shared = { held: null }) {
    this.shared = shared;
  }
  async take() {
    if (this.shared.held) return false;
    this.shared.held = this;
    return true;
  }
  give() {
    if (this.shared.held === this) this.shared.held = null;
  }
  async taken() {
    return this.shared.held !== null && this.shared.held !== this;
  }
}

export const noNetwork = async () => {
  throw new TypeError('no network in this test');
};

/** An engine over `disk` and `vault`. Starting one ends the one before it: the program
 * has one state a process. */
export async function engine({
  disk = new MemoryDisk(),
  vault = new MemoryVault(),
  lock = new MemoryLock(),
  fetcher = noNetwork,
  base = 'http://127.0.0.1:1',
} = {}) {
  const made = new Engine({
    wasm: await wasm(),
    base,
    storage: new Pool(disk),
    vault,
    lock,
    fetcher,
    readBlob: (bytes, at, into) => {
      const part = bytes.subarray(at, at + into.length);
      into.set(part);
      return part.length;
    },
  });
  return { engine: made, disk, vault, lock };
}
