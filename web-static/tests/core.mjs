// The browser core in Node, with no browser: `node --test web-static/tests/core.mjs`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { send } from '../assets/core/engine.js';
import { Pool } from '../assets/core/storage.js';
import { MemoryDisk, MemoryLock, MemoryVault, engine } from './host.mjs';

const PASS = 'correct horse battery';
const SEED = '07'.repeat(32);
const table = new Uint8Array(readFileSync(new URL('../../tests/data/randhie.csv', import.meta.url)));
const expected = JSON.parse(readFileSync(new URL('./determinism.json', import.meta.url), 'utf8'));

const small = new TextEncoder().encode(
  'age,group,visits\n' + Array.from({ length: 400 }, (_, i) => `${20 + (i % 60)},${i % 3 ? 'a' : 'b'},${(i * 7) % 13}\n`).join(''),
);

/** @param {Promise<unknown>} promise @param {string} code */
async function refused(promise, code) {
  await assert.rejects(promise, (e) => {
    assert.equal(e.code, code, JSON.stringify(e));
    return true;
  });
}

test('a table is inspected, and a refused one says where', async () => {
  const { engine: e } = await engine();
  const { value } = await e.run('inspect', { schema: null, name: 'visits' }, { blob: small });
  assert.deepEqual(value.headers, ['age', 'group', 'visits']);
  assert.equal(value.refusal, null);
  assert.equal(value.report.rows, 400);
  assert.equal(value.sample.length, 20);
  const names = value.report.columns.map((c) => c.name);
  assert.deepEqual(names, ['age', 'group=a', 'group=b', 'visits']);
  assert.equal(value.values, 1600);
  const toml = (await e.run('schemaToml', { schema: value.schema })).value;
  assert.deepEqual((await e.run('schemaFromToml', { toml })).value, value.schema);

  const bad = new TextEncoder().encode('a,b\n1,2\n3,\n');
  const said = (await e.run('inspect', { schema: null, name: 'bad' }, { blob: bad })).value;
  assert.equal(said.report, null);
  assert.equal(said.refusal.column, 'b');
  assert.equal(said.refusal.line, 3);
  assert.deepEqual(said.sample, [['1', '2'], ['3', '']]);
  const schema = { ...value.schema, name: '', columns: {} };
  await refused(e.run('inspect', { schema, name: null }, { blob: small }), 'TABLE');
});

test('the vault opens with its passphrase alone, in one tab at a time', async () => {
  const lock = new MemoryLock();
  const { engine: e, vault, disk } = await engine({ lock });
  assert.equal((await e.run('vaultState', {})).value.exists, false);
  await refused(e.run('vaultUnlock', { passphrase: PASS }), 'VAULT_MISSING');
  await refused(e.run('vaultCreate', { passphrase: 'short' }), 'PASSPHRASE_WEAK');
  const made = (await e.run('vaultCreate', { passphrase: PASS })).value;
  assert.deepEqual([made.exists, made.unlocked, made.keys.length], [true, true, 0]);
  await refused(e.run('vaultCreate', { passphrase: PASS }), 'VAULT_EXISTS');
  const key = (await e.run('signingKey', {})).value;
  assert.match(key, /^[0-9a-f]{64}$/);
  assert.equal((await e.run('signingKey', {})).value, key);
  const backup = (await e.run('vaultExport', {})).files[0].bytes;
  assert.equal((await e.run('vaultState', {})).value.unsaved, 0);
  await e.run('vaultLock', {});
  await refused(e.run('signingKey', {}), 'VAULT_LOCKED');
  await refused(e.run('vaultUnlock', { passphrase: `${PASS}!` }), 'VAULT_REFUSED');
  await e.run('vaultUnlock', { passphrase: PASS });
  assert.equal((await e.run('signingKey', {})).value, key);

  // Another tab, of the same lock.
  const other = new MemoryLock(lock.shared);
  const { engine: second } = await engine({ lock: other, vault, disk });
  await refused(second.run('vaultUnlock', { passphrase: PASS }), 'IN_USE');
  assert.equal((await second.run('vaultState', {})).value.inUse, true);
  lock.give();
  await second.run('vaultUnlock', { passphrase: PASS });
  await second.run('vaultPassphrase', { old: PASS, fresh: 'another passphrase' });
  await second.run('vaultLock', {});
  await refused(second.run('vaultUnlock', { passphrase: PASS }), 'VAULT_REFUSED');

  // Elsewhere, from the backup; a damaged one is refused alike.
  const { engine: third } = await engine();
  const damaged = backup.slice();
  damaged[200] ^= 1;
  await refused(third.run('vaultImport', { passphrase: PASS }, { bytes: damaged }), 'VAULT_REFUSED');
  await refused(third.run('vaultImport', { passphrase: PASS }, { bytes: backup.slice(0, 40) }), 'VAULT_FORMAT');
  const moved = (await third.run('vaultImport', { passphrase: PASS }, { bytes: backup })).value;
  assert.equal(moved.keys[0].key, key);
  await third.run('vaultDestroy', { passphrase: PASS });
  assert.equal((await third.run('vaultState', {})).value.exists, false);
});

test('the same table and seed give the same root as natively (DS-10)', async () => {
  const { engine: e, disk, vault, lock } = await engine();
  await e.run('vaultCreate', { passphrase: PASS });
  const steps = new Set();
  const { value } = await e.run(
    'encrypt',
    { schema: expected.schema, seed: SEED },
    { blob: table, step: (stage) => steps.add(stage) },
  );
  assert.equal(value.root, expected.root);
  assert.equal(value.values, expected.values);
  for (const stage of ['read', 'encrypt', 'commit', 'prove']) assert.ok(steps.has(stage), stage);
  const seconds = value.seconds;
  const crypto = seconds.encrypt + seconds.commit + seconds.prove;
  console.log(
    `browser core: ${value.values} values, encrypted in ${seconds.encrypt.toFixed(2)} s ` +
      `(${Math.round(value.values / seconds.encrypt)} a second), committed in ${seconds.commit.toFixed(2)} s, ` +
      `proven in ${seconds.prove.toFixed(2)} s (${Math.round(value.values / crypto)} a second in all)`,
  );

  // What lies on the disk is sealed: no column name, no manifest.
  const raw = Buffer.concat(disk.files.map((f) => f.bytes.subarray(4096)));
  for (const word of ['disea', 'mdvis', '"message_log2"', value.root]) assert.equal(raw.indexOf(word), -1, word);

  // Another start of the core finds it, and nothing is encrypted again.
  lock.give();
  const written = disk.written;
  const { engine: later } = await engine({ disk, vault });
  await later.run('vaultUnlock', { passphrase: PASS });
  const drafts = (await later.run('drafts', {})).value;
  assert.equal(drafts.length, 1);
  assert.deepEqual([drafts[0].root, drafts[0].stage], [value.root, 'list']);
  assert.deepEqual(drafts[0].objects, value.objects);
  assert.ok(disk.written - written < 100_000);
  const state = (await later.run('vaultState', {})).value;
  assert.equal(state.datasets[0].root, value.root);
  await refused(later.run('upload', { id: drafts[0].id }), 'DRAFT_STATE');
  const files = (await later.run('exportDataset', { id: drafts[0].id })).files.map((f) => f.name);
  assert.deepEqual(files, ['secret.key', 'manifest.json']);
  await later.run('removeDraft', { id: drafts[0].id });
  assert.deepEqual((await later.run('drafts', {})).value, []);
  await refused(later.run('exportDataset', { id: drafts[0].id }), 'DRAFT_UNKNOWN');
});

test('receipts are checked without vault or network', async () => {
  const { engine: e } = await engine();
  const junk = new TextEncoder().encode('{"no":"receipt"}');
  const { value } = await e.run('verifyReceipt', { marketplace: null }, { bytes: junk });
  assert.equal(value.valid, false);
  assert.ok(value.rule && value.reason);

  // A real one, of a model with private weights: FRI and Marlin are verified.
  const file = readFileSync(new URL('../../tests/data/receipts/private-weights.json', import.meta.url));
  const check = (bytes, marketplace = null) => e.run('verifyReceipt', { marketplace }, { bytes });
  const good = (await check(new Uint8Array(file))).value;
  assert.deepEqual([good.valid, good.evaluation, good.decryption, good.srs], [true, 'proven', 'committee-attested', 'dev']);
  assert.ok(good.text.includes('Proven (checked here)'));
  assert.equal((await check(new Uint8Array(file), good.marketplace)).value.marketplace_expected, true);
  assert.equal((await check(new Uint8Array(file), 'ab'.repeat(32))).value.valid, false);
  const receipt = JSON.parse(file.toString());
  const envelope = receipt.body.outputs[0].envelope;
  const at = Math.floor(envelope.length / 2);
  receipt.body.outputs[0].envelope = envelope.slice(0, at) + (envelope[at] === 'A' ? 'B' : 'A') + envelope.slice(at + 1);
  assert.equal((await check(new TextEncoder().encode(JSON.stringify(receipt)))).value.valid, false);
  await refused(check(new Uint8Array(file), 'zz'), 'INPUT');
});

test('a rename that was cut off leaves one file, the later', async () => {
  const disk = new MemoryDisk();
  const pool = new Pool(disk);
  await pool.mount();
  const put = (name, text) => {
    const f = pool.open(name, true);
    pool.write(f, 0, new TextEncoder().encode(text));
  };
  put('plan.json', 'old');
  put('plan.new', 'fresh');
  // Both names on disk: the crash between the label and the release.
  const slot = pool.names.get('plan.json');
  const before = disk.files[slot].bytes.slice();
  pool.rename('plan.new', 'plan.json');
  disk.files[slot].bytes = before;
  const again = new Pool(disk);
  await again.mount();
  const f = again.open('plan.json', false);
  const into = new Uint8Array(5);
  again.read(f, 0, into);
  assert.equal(new TextDecoder().decode(into), 'fresh');
  assert.ok(!again.exists('plan.new'));
  assert.equal(again.list('').length, 1);
  // A header that is torn is no file.
  disk.files[again.names.get('plan.json')].bytes[30] ^= 1;
  const torn = new Pool(disk);
  await torn.mount();
  assert.deepEqual(torn.list(''), []);
  assert.throws(() => torn.open('gone', false));
});

test('what lies behind a torn header is nobody’s: not its bytes, not its nonce (VLT-7)', async () => {
  const disk = new MemoryDisk();
  const pool = new Pool(disk);
  await pool.mount();
  const long = pool.open('seeds', true);
  pool.write(long, 0, new Uint8Array(1000).fill(7));
  // The machine stops while the name is written.
  disk.files[long].bytes[30] ^= 1;
  const again = new Pool(disk);
  await again.mount();
  assert.deepEqual(again.list(''), []);
  // Whoever gets the file next gets an empty one.
  for (let i = 0; again.room(1); i += 1) assert.equal(again.length(again.open(`n${i}`, true)), 0, `n${i}`);
  assert.equal(disk.files.filter((f) => f.bytes.length !== 4096).length, 0);
});

test('requests are bounded and say who they are from', async () => {
  const seen = [];
  const fetcher = async (url, options) => {
    seen.push([url, options]);
    return new Response(new Uint8Array(1000), { status: 200, headers: { 'upload-offset': '7' } });
  };
  const answer = await send(fetcher, 'GET', '/v1/x', ['accept', 'a'], undefined, [1000, 10], 1000);
  assert.deepEqual([answer.status, answer.offset, answer.body.length], [200, '7', 1000]);
  assert.equal(seen[0][1].headers['x-veilbourse'], 'web');
  assert.equal(seen[0][1].credentials, 'same-origin');
  await assert.rejects(send(fetcher, 'GET', '/v1/x', [], undefined, [999, 10], 1000), (e) => e.tooLarge === 1000);
  const silent = (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
  await assert.rejects(send(silent, 'GET', '/v1/x', [], undefined, [10, 10], 20), (e) => e.timeout === 1);
});

test('no answer is NETWORK, whatever the call', async () => {
  const { engine: e } = await engine();
  await refused(e.run('listing', { id: '01900000-0000-7000-8000-000000000001' }), 'NETWORK');
  await refused(e.run('listing', { id: 'x' }), 'INPUT');
  await refused(e.run('nothing', {}), 'INPUT');
  await refused(e.run('runOnTwin', { fit: 'f7' }), 'FIT_UNKNOWN');
});
