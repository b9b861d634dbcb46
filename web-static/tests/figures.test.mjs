// @ts-check
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { marginals, rows } from '../assets/pages/parts/csv.js';
import { broken, choose, filled, frozen, shapeWords } from '../assets/pages/parts/figures.js';

test('CSV is read as RFC 4180 writes it', () => {
  assert.deepEqual(rows('a,b\n1,2\n'), [['a', 'b'], ['1', '2']]);
  assert.deepEqual(rows('a,"b, ""c"""\r\n"x\ny",\r\n'), [['a', 'b, "c"'], ['x\ny', '']]);
  assert.deepEqual(rows('a'), [['a']]);
  assert.deepEqual(rows(''), []);
});

test('columns are counted: numbers in bins, few values and texts by themselves', () => {
  const table = [['x', 'plan', 'flag'], ...Array.from({ length: 32 }, (_, i) => [String(i), i % 3 === 0 ? 'b' : 'a', String(i % 2)])];
  const [x, plan, flag] = marginals(table);
  assert.equal(x?.kind, 'numeric');
  assert.ok(x?.kind === 'numeric' && x.edges.length === 17 && x.edges[0] === 0 && x.edges[16] === 31);
  assert.ok(x?.kind === 'numeric' && x.counts.reduce((a, b) => a + b, 0) === 32, 'no row is lost');
  assert.deepEqual(plan?.counts, [{ label: 'a', value: 21 }, { label: 'b', value: 11 }]);
  assert.deepEqual(flag?.counts, [{ label: '0', value: 16 }, { label: '1', value: 16 }]);
  const empty = marginals([['x'], ['1'], [''], ['2']]);
  assert.equal(empty[0]?.kind, 'text', 'an empty cell is no number');
  assert.deepEqual(marginals([]), []);
});

test('an audit record holds to the one before it', () => {
  const chain = [1, 2, 3].map((n) => ({ sequence: String(n), previous: String(n - 1), digest: String(n) }));
  assert.equal(broken(chain), null);
  assert.equal(broken([]), null);
  assert.equal(broken(chain.slice(1)), null, 'a part of the chain is one too');
  assert.equal(broken(chain.map((e) => (e.sequence === '2' ? { ...e, digest: 'x' } : e))), '3');
  assert.equal(broken(chain.filter((e) => e.sequence !== '2')), '3', 'none is missing');
});

test('days without an order are days', () => {
  const days = [{ date: '2026-11-20', orders: '1', values: '4', earned: '1234' }, { date: '2026-11-22', orders: '2', values: '6', earned: '1' }];
  const all = filled(days);
  assert.deepEqual(all.map((d) => [d.orders, d.values, d.earned]), [[1, 4, 12.34], [0, 0, 0], [2, 6, 0.01]]);
  assert.deepEqual(filled([]), []);
});

test('quorums are counted, and those that are frozen are named', () => {
  assert.deepEqual([choose(3, 2), choose(5, 3), choose(2, 2)], [3, 10, 1]);
  const d = (/** @type {number[]} */ quorum, /** @type {string} */ state) => ({ quorum, state });
  assert.deepEqual(frozen({ dealings: [d([0, 1], 'accepted'), d([0, 2], 'refused'), d([1, 2], 'refused'), d([1, 2], 'accepted'), d([0, 2], 'refused')] }), [[0, 2]]);
});

test('a query is said by its public shape', () => {
  const vector = (/** @type {string} */ label, /** @type {'public' | 'private'} */ visibility) => ({ label, weights: { visibility } });
  const over = (/** @type {'traced' | 'chunk'} */ matrix, /** @type {number} */ segment) => ({ over: { matrix, segment }, vector: 0 });
  assert.deepEqual(shapeWords({ vectors: [vector('sum of a', 'public'), vector('sum of b', 'public')], outputs: [over('traced', 0), over('traced', 1)] }), { what: 'sum of a, sum of b', over: 'the whole of 2 segments', weights: 'weights public' });
  assert.deepEqual(shapeWords({ vectors: [vector('score', 'private')], outputs: [over('chunk', 0), over('chunk', 0)] }), { what: 'score', over: 'each row of 1 segment', weights: 'weights hidden' });
  const many = shapeWords({ vectors: ['a', 'b', 'c', 'd', 'e'].map((l, i) => vector(l, i === 0 ? 'private' : 'public')), outputs: [over('traced', 0)] });
  assert.deepEqual([many.what, many.weights], ['a, b, c and 2 more', 'weights of 1 of 5 hidden']);
});
