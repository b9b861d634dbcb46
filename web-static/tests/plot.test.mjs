import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axis, scale, shares, ticks } from '../assets/lib/plot.js';
import { margin, tidy, withError } from '../assets/lib/results.js';

test('ticks are round, ascending, and take in both ends', () => {
  assert.deepEqual(ticks(0, 10), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(0, 1, 4), [0, 0.25, 0.5, 0.75, 1]);
  for (const [a, b] of [[0, 1], [-3.7, 12.1], [1e-9, 3e-9], [1e12, 1.0001e12], [5, 5], [0, 0], [-2, -1]]) {
    const t = ticks(a, b, 5);
    assert.ok(t.length >= 2 && t.length <= 13, `${a} ${b}: ${t}`);
    assert.ok(t[0] <= a + Math.abs(a) * 1e-9 && t[t.length - 1] >= b - Math.abs(b) * 1e-9, `${a} ${b}: ${t}`);
    for (let i = 1; i < t.length; i += 1) assert.ok(t[i] > t[i - 1]);
  }
  assert.deepEqual(ticks(NaN, 1), [0, 1]);
});

test('ticks of values beyond 2^53 end', () => {
  const far = [[1e17, 1e17 + 32], [-1e17 - 32, -1e17], [2 ** 80, 2 ** 80 + 2 ** 30], [-1e308, 1e308], [-1.7e308, 1.7e308], [5e-324, 1e-323], [1e300, 1e300 * (1 + 2 ** -52)]];
  for (const [a, b] of far) {
    const t = ticks(a, b, 5);
    assert.ok(t.length >= 1 && t.length <= 25, `${a} ${b}: ${t.length}`);
    assert.ok(t.every(Number.isFinite), `${a} ${b}: ${t}`);
  }
});

test('a scale maps its ends, and an empty domain to its beginning', () => {
  const x = scale([10, 20], [0, 100]);
  assert.deepEqual([x(10), x(15), x(20)], [0, 50, 100]);
  assert.equal(scale([0, 1], [50, 0])(1), 0);
  assert.ok(Number.isFinite(scale([3, 3], [0, 10])(3)));
});

test('shares fill the whole and no more', () => {
  assert.deepEqual(shares([1, 3], 8), [0.125, 0.375]);
  assert.deepEqual(shares([6, 6], 8), [0.5, 0.5]);
  assert.deepEqual(shares([0, -1, NaN]), [0, 0, 0]);
  assert.deepEqual(shares([]), []);
});

test('axis figures are short', () => {
  assert.equal(axis(1234), '1234');
  assert.equal(axis(25_000), '25k');
  assert.equal(axis(3_200_000), '3.2M');
  assert.equal(axis(0.5), '0.5');
});

test('a value is shown as precisely as its error allows', () => {
  assert.equal(withError(2.4901613, 0.0042), '2.490161 ± 0.0042');
  assert.equal(withError(-44567.5, 12), '−44567.50 ± 12');
  assert.equal(withError(2.5, 0), '2.5');
  assert.equal(margin({ within95: 0.5, roundingError: 0.25 }), 0.75);
  assert.equal(tidy('sum of mdvis^2'), 'mdvis^2');
  assert.equal(tidy('mean of mdvis^2'), 'mdvis^2');
});
