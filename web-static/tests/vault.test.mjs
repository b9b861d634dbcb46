// What the page does with the core's vault, over a core that is told what to say.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

// Kept out: it would hold this process.
globalThis.BroadcastChannel = undefined;
globalThis.location = { origin: 'http://here', href: 'http://here/' };

/** @type {{ended: boolean, calls: string[]}[]} */
const workers = [];
/** A worker that answers everything with what an open vault says. */
globalThis.Worker = class {
  constructor() {
    this.ended = false;
    this.calls = [];
    workers.push(this);
  }
  postMessage(m) {
    this.calls.push(m.method);
    queueMicrotask(() => this.onmessage({ data: { id: m.id, value: { exists: true, unlocked: true }, files: [] } }));
  }
  terminate() {
    this.ended = true;
  }
};

let me = null;
globalThis.fetch = async (path, init) => {
  if (path === '/v1/session') return new Response(null, { status: 204 });
  if (me === 'over') return new Response(JSON.stringify({ errors: [{ message: 'over', extensions: { code: 'TOKEN_INVALID', status: 401 } }] }));
  return new Response(JSON.stringify({ data: { me } }));
};
const { loadSession, signIn, signOut } = await import('../assets/lib/session.js');
const { core, trusted } = await import('../assets/lib/vault.js');
const person = (id) => ({ id, mail: `${id}@x`, name: id, roles: ['BUYER'], verified: true, secondFactor: false });

beforeEach(async () => {
  me = person('ann');
  await loadSession();
});
const settled = () => new Promise((r) => setTimeout(r, 5));

test('signing out ends the core with its open vault (WEB-9)', async () => {
  const c = await core();
  const mine = workers.at(-1);
  assert.equal((await c.vaultState()).unlocked, true);
  await signOut();
  await settled();
  assert.equal(mine.ended, true);
  // Who asks next gets a core of its own, which knows no passphrase.
  await core();
  assert.notEqual(workers.at(-1), mine);
  assert.equal(workers.at(-1).ended, false);
});

test('so does somebody else who signs in, and what is under way is refused', async () => {
  const c = await core();
  const mine = workers.at(-1);
  mine.postMessage = () => {};
  const underWay = assert.rejects(c.signingKey(), { code: 'CANCELLED' });
  me = person('bob');
  await signIn('bob@x', 'p');
  await underWay;
  assert.equal(mine.ended, true);
});

test('the same person again finds the vault open', async () => {
  await core();
  const mine = workers.at(-1);
  await loadSession();
  me = { ...person('ann'), name: 'Ann' };
  await loadSession();
  await settled();
  assert.equal(mine.ended, false);
});

test('the key that is pinned is the one that was looked at (WEB-10)', async () => {
  // A server that shows another key each time.
  const shown = ['a', 'b', 'c'];
  const pinned = [];
  const c = {
    marketplaceKey: async () => ({ key: shown.shift(), pinned: false }),
    pinMarketplace: async (key) => void pinned.push(key),
  };
  const seen = [];
  assert.equal(await trusted(c, async (key) => seen.push(key) > 0), true);
  assert.deepEqual([seen, pinned], [['a'], ['a']]);
  assert.equal(await trusted(c, async () => false), false);
  assert.deepEqual(pinned, ['a'], 'refused, nothing is pinned');
  assert.equal(await trusted({ marketplaceKey: async () => ({ key: 'x', pinned: true }) }, () => assert.fail('asked')), true);
});
