// Text of figures: money is exact at any size, nothing rounds what it must not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, basisPoints, bytes, count, credits, money, MOST_MINOR, parseMoney, percent, plural, real, span, total, words } from '../assets/lib/dom.js';

test('money is shown to the last hundredth, beyond what a double holds', () => {
  assert.equal(money('0'), '0.00');
  assert.equal(money('5'), '0.05');
  assert.equal(money('123456'), '1\u202f234.56');
  assert.equal(money('-2500'), '−25.00');
  assert.equal(money('-5'), '−0.05');
  assert.equal(money('9007199254740993'), '90\u202f071\u202f992\u202f547\u202f409.93');
  assert.equal(credits(250n), '2.50\u00a0cr');
});

test('amounts are read as people write them, and refused in words', () => {
  for (const [text, minor] of [['25', 2500n], ['25.5', 2550n], ['25,50', 2550n], [' 1 000.01 ', 100001n], ["1'000", 100000n], ['0.01', 1n]]) assert.equal(parseMoney(text), minor, text);
  for (const text of ['', '.', '1.', '-1', '1.234', '1e3', '0x10', '١', 'NaN', '1,234.50']) assert.throws(() => parseMoney(text), RangeError, text);
  assert.equal(parseMoney('10000000000000'), MOST_MINOR);
  assert.throws(() => parseMoney('10000000000000.01'), /at most 10/);
});

test('what is shown reads back as what it was', () => {
  for (let i = 0n; i < 200n; i += 1n) {
    const v = (i * 7_919_777_111n) % MOST_MINOR;
    assert.equal(parseMoney(money(v).replaceAll('\u202f', '')), v);
  }
});

test('sums are exact', () => {
  assert.equal(total(['9007199254740993', '1', '-2']), 9007199254740992n);
  assert.equal(total([]), 0n);
});

test('counts are grouped, and what is no count stays', () => {
  assert.equal(count('0'), '0');
  assert.equal(count(999), '999');
  assert.equal(count('1000'), '1\u202f000');
  assert.equal(count('18446744073709551615'), '18\u202f446\u202f744\u202f073\u202f709\u202f551\u202f615');
  assert.equal(count(-1234n), '−1\u202f234');
  assert.equal(count('n/a'), 'n/a');
});

test('real numbers at significant digits', () => {
  assert.equal(real(0), '0');
  assert.equal(real(2.4901610001), '2.49016');
  assert.equal(real(-0.5), '−0.5');
  assert.equal(real(123456.7), '123457');
  assert.equal(real(100), '100');
  assert.equal(real(0.00001234, 3), '1.23e-5');
  assert.equal(real(2.5e12, 3), '2.5e12');
  assert.equal(real(NaN), 'n/a');
  assert.equal(real(-Infinity), '−∞');
});

test('bytes, shares, spans', () => {
  assert.equal(bytes(512), '512 B');
  assert.equal(bytes('323000'), '315.4 KiB');
  assert.equal(bytes(2 ** 20), '1.00 MiB');
  assert.equal(percent(0.253), '25 %');
  assert.equal(basisPoints(7500), '75 %');
  assert.equal(basisPoints(525), '5.25 %');
  assert.equal(span(25), '25 s');
  assert.equal(span(61), '1 min 1 s');
  assert.equal(span(3600), '1 h');
  assert.equal(span(90061), '1 d 1 h');
});

test('times from now', () => {
  const now = 1_800_000_000_000;
  assert.equal(ago(now, now), 'just now');
  assert.equal(ago(now - 120_000, now), '2 min ago');
  assert.equal(ago(now + 3_600_000, now), 'in 1 h');
  assert.equal(ago(now - 86_400_000, now), '1 day ago');
  assert.equal(ago(now - 3 * 86_400_000, now), '3 days ago');
});

test('words', () => {
  assert.equal(plural('1', 'row'), '1 row');
  assert.equal(plural(2, 'entry', 'entries'), '2 entries');
  assert.equal(words('ORDER_RELEASED'), 'order released');
});
