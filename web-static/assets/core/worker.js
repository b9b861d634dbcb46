// @ts-check
/** The core's worker: the engine over the browser's storage; one message a call. */

import init, { call, start, version } from './pkg/core.js';
import { Engine } from './engine.js';
import { Pool, privateFiles, tabLock, vaultStore } from './storage.js';

/** @typedef {{id: number, method: string, args: any, blob?: Blob, bytes?: Uint8Array}} Asked */

/** @type {Promise<Engine> | null} */
let engine = null;

/** @param {Blob} blob @param {number} at @param {Uint8Array} into */
function readBlob(blob, at, into) {
  const part = blob.slice(at, at + into.length);
  const reader = new /** @type {any} */ (self).FileReaderSync();
  const bytes = new Uint8Array(reader.readAsArrayBuffer(part));
  into.set(bytes);
  return bytes.length;
}

/** @param {string} base */
async function begin(base) {
  await init({ module_or_path: new URL('./pkg/core_bg.wasm', import.meta.url) });
  return new Engine({
    wasm: { call, start: /** @type {any} */ (start), version },
    base,
    storage: new Pool(privateFiles()),
    vault: vaultStore(),
    lock: tabLock(),
    fetcher: (input, options) => fetch(input, options),
    readBlob,
  });
}

self.onmessage = async (/** @type {MessageEvent} */ event) => {
  /** @type {Asked} */
  const { id, method, args, blob, bytes } = event.data;
  try {
    if (method === 'begin') {
      engine = begin(args.base);
      await engine;
      postMessage({ id, value: null, files: [] });
      return;
    }
    if (!engine) throw { code: 'INTERNAL', message: 'the core is not started' };
    const step = (/** @type {string} */ stage, /** @type {number} */ done, /** @type {number} */ total) =>
      postMessage({ id, progress: { stage, done, total } });
    const more = { step, ...(blob ? { blob } : {}), ...(bytes ? { bytes } : {}) };
    const given = await (await engine).run(method, args, more);
    postMessage({ id, value: given.value, files: given.files });
  } catch (e) {
    const known = e && typeof e === 'object' && 'code' in e && typeof e.code === 'string';
    const error = known ? e : { code: 'INTERNAL', message: e instanceof Error ? e.message : String(e) };
    postMessage({ id, error });
  }
};
