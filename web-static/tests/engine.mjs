// The engine's own rules over a program that is told what to say:
// `node --test web-static/tests/engine.mjs`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Engine } from '../assets/core/engine.js';
import { Pool } from '../assets/core/storage.js';
import { MemoryDisk, MemoryLock, MemoryVault } from './host.mjs';

/** A program that gives what `say` says: a value, `{vault}` beside it, or a refusal. */
async function told(say, lock = new MemoryLock()) {
  const log = [];
  const vault = new MemoryVault();
  const storage = new Pool(new MemoryDisk());
  const wasm = {
    start() {},
    version: () => '0',
    async call(method, text) {
      const args = JSON.parse(text);
      log.push([method, args, vault.saves]);
      const said = await say(method, args, log.length);
      if (said.code) throw JSON.stringify(said);
      return {
        json: () => JSON.stringify(said.value ?? null),
        vault: () => said.vault,
        files: () => 0,
        free() {},
      };
    },
  };
  const engine = new Engine({
    wasm,
    base: 'http://here',
    storage,
    vault,
    lock,
    fetcher: fetch,
    readBlob: () => 0,
  });
  return { engine, log, vault, storage, lock };
}

test('an order is stored before it is placed (ORD-2)', async () => {
  const { engine, log, vault } = await told((method) =>
    method === 'sign'
      ? { value: { digest: 'd' }, vault: new Uint8Array([1]) }
      : { value: { id: 'x' }, vault: new Uint8Array([2]) },
  );
  assert.equal((await engine.run('place', { offer: 'o1' })).value.id, 'x');
  assert.deepEqual(log, [
    ['sign', { offer: 'o1' }, 0],
    ['placeAgain', { digest: 'd' }, 1],
  ]);
  assert.equal(vault.saves, 2);
});

test('what cannot be stored is not placed', async () => {
  const { engine, log, vault } = await told(() => ({ value: { digest: 'd' }, vault: new Uint8Array([1]) }));
  vault.save = async () => {
    throw new Error('the disk is full');
  };
  await assert.rejects(engine.run('place', { offer: 'o1' }), (e) => e.code === 'INTERNAL' && /full/.test(e.message));
  assert.equal(log.length, 1);
});

test('nor by the next call: what is owed to the disk is stored first (VLT-8)', async () => {
  const { engine, log, vault } = await told((method) =>
    method === 'sign' ? { value: { digest: 'd' }, vault: new Uint8Array([1]) } : { value: { id: 'x' } },
  );
  const { save } = vault;
  let tried = 0;
  vault.save = async () => {
    tried += 1;
    throw new Error('the disk is full');
  };
  await assert.rejects(engine.run('place', { offer: 'o1' }));
  // The order is in the program's memory, and shown; it is not sent.
  assert.equal((await engine.run('orders', {})).value.id, 'x');
  await assert.rejects(engine.run('placeAgain', { digest: 'd' }), (e) => e.code === 'INTERNAL' && /full/.test(e.message));
  assert.deepEqual(log.map(([m]) => m), ['sign', 'orders']);
  assert.equal(tried, 3);
  vault.save = save;
  assert.equal((await engine.run('placeAgain', { digest: 'd' })).value.id, 'x');
  assert.deepEqual([...vault.bytes], [1]);
  assert.equal(log.at(-1)[2], 1, 'stored before it was sent');
  // Locking is never held up by a disk.
  vault.save = async () => {
    throw new Error('the disk is full');
  };
  await assert.rejects(engine.run('sign', {}));
  await engine.run('vaultLock', {});
  assert.equal(log.at(-1)[0], 'vaultLock');
  vault.save = save;
  await engine.run('orders', {});
  assert.deepEqual(vault.saves, 1, 'what was given up is not stored later');
});

test('the vault is looked at behind the lock, never before it (VLT-8)', async () => {
  const lock = new MemoryLock();
  const seen = [];
  const { engine, vault } = await told((method) => ({ value: method }), lock);
  const load = vault.load.bind(vault);
  vault.load = async () => {
    seen.push(lock.shared.held === lock);
    return load();
  };
  // Another tab writes until the lock is taken.
  const take = lock.take.bind(lock);
  lock.take = async () => {
    vault.bytes = new Uint8Array([2]);
    return take();
  };
  await engine.run('vaultUnlock', { passphrase: 'p' });
  assert.equal(seen[0], true);
  assert.deepEqual([...(await vault.load())], [2]);
  await engine.run('vaultLock', {});
  for (const method of ['vaultCreate', 'vaultImport', 'vaultDestroy']) {
    seen.length = 0;
    const code = { vaultCreate: 'VAULT_EXISTS', vaultImport: 'VAULT_LOCKED' }[method];
    const done = engine.run(method, { passphrase: 'p' });
    if (code) await assert.rejects(done, (e) => e.code === code);
    else await done;
    assert.equal(seen[0], true, method);
    assert.equal(lock.shared.held, null, method);
  }
});

test('a vault that could not be made is not open', async () => {
  const { engine, log, vault, lock } = await told((method) =>
    method === 'vaultCreate' ? { value: null, vault: new Uint8Array([1]) } : { value: null },
  );
  const { save } = vault;
  vault.save = async () => {
    throw new Error('the disk is full');
  };
  await assert.rejects(engine.run('vaultCreate', { passphrase: 'p' }), (e) => /full/.test(e.message));
  assert.deepEqual(log.map(([m]) => m), ['vaultCreate', 'vaultLock']);
  assert.equal(lock.shared.held, null);
  vault.save = save;
  await engine.run('vaultState', {});
  assert.equal(vault.bytes, null, 'nor made by a later call');
});

test('each dealing is on its way before the next is made', async () => {
  let dealt = 0;
  const { engine, log } = await told((method) => {
    if (method === 'dealStep') {
      dealt += 1;
      return { value: { dealings: Array(dealt).fill({}), left: dealt < 3, listed: true, uploaded: false } };
    }
    return { value: { uploaded: true } };
  });
  const { value } = await engine.run('deal', { id: 'i', committee: {} });
  assert.deepEqual(
    log.map(([method, args]) => [method, args.first]),
    [
      ['dealStep', true],
      ['uploadTickets', undefined],
      ['dealStep', false],
      ['uploadTickets', undefined],
      ['dealStep', false],
      ['uploadTickets', undefined],
    ],
  );
  assert.deepEqual([value.dealings.length, value.uploaded, value.left], [3, true, undefined]);
});

test('storage that is too small grows, and the call goes on', async () => {
  const { engine, log, storage } = await told((_, __, calls) =>
    calls < 3 ? { code: 'NEED_FILES', message: 'more', value: '100' } : { value: 'done' },
  );
  assert.equal((await engine.run('encrypt', {})).value, 'done');
  assert.equal(log.length, 3);
  assert.equal(storage.free.length, 200);
});

test('calls come one after the other, and a refusal ends none but its own', async () => {
  const seen = [];
  const { engine } = await told(async (method) => {
    seen.push(`${method} begins`);
    await new Promise((r) => setTimeout(r, 5));
    seen.push(`${method} ends`);
    return method === 'b' ? { code: 'NETWORK', message: 'no' } : { value: method };
  });
  const all = await Promise.allSettled(['a', 'b', 'c'].map((m) => engine.run(m, {})));
  assert.deepEqual(all.map((r) => r.status), ['fulfilled', 'rejected', 'fulfilled']);
  assert.deepEqual(seen, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

test('a program that stopped says why', async () => {
  const { engine } = await told(() => {
    engine.panic = 'panicked at x.rs:1';
    throw new WebAssembly.RuntimeError('unreachable');
  });
  await assert.rejects(engine.run('drafts', {}), (e) => e.code === 'INTERNAL' && e.message.includes('x.rs') && e.fatal);
});
