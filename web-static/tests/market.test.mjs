import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linked, operationsOf, skeleton, typeText } from '../assets/lib/explore.js';
import { custodyWords, openersOf, policyWords, priceOf, seatsOf, shapeOf } from '../assets/lib/market.js';

const manifest = {
  name: 'visits',
  columns: [
    { name: 'mdvis', kind: { kind: 'numeric' }, unit: 'visits', scale_log2: 3, min: '0', max: '1024' },
    { name: 'site=A', kind: { kind: 'category', source: 'site', value: 'A' }, unit: '', scale_log2: 10, min: '0', max: '1024' },
    { name: 'mdvis^2', kind: { kind: 'square', source: 'mdvis' }, unit: '', scale_log2: 6, min: '0', max: '1048576' },
    { name: 'a*b', kind: { kind: 'product', left: 'a', right: 'b' }, unit: '', scale_log2: -2, min: '-4', max: '4' },
  ],
  public_columns: [{ name: '1', scale_log2: 0, values: ['1', '1'] }, { name: 'idp', scale_log2: 0, values: ['0', '1'] }],
  segments: [{ label: 'idp = 0', rows: '9007199254740993' }, { label: 'idp = 1', rows: '5249' }],
};

test('a manifest in real units, rows exact', () => {
  const s = shapeOf(manifest);
  assert.equal(s.rows, '9007199254746242');
  assert.deepEqual(s.columns.map((c) => [c.min, c.max, c.step]), [[0, 128, 0.125], [0, 1, 1 / 1024], [0, 16384, 1 / 64], [-16, 16, 4]]);
  assert.deepEqual(s.columns[3].of, ['a', 'b']);
  assert.deepEqual(s.keys, ['idp'], 'the constant 1 is no key');
});

test('both custodies', () => {
  const held = openersOf('{"custody":"custodian_held","node_key":"aa"}');
  assert.deepEqual(held, { custody: 'custodian_held', nodes: ['aa'], threshold: 1 });
  const committee = openersOf({ custody: 'committee', nodes: ['a', 'b', 'c'], threshold: 2 });
  assert.match(custodyWords(committee), /any 2 of 3/);
  assert.equal(openersOf(null), null);
  assert.match(seatsOf(held)[1].learns, /opened values/);
  assert.match(seatsOf(committee)[1].learns, /Not the result/);
  assert.ok(seatsOf(committee).some((s) => s.seat === 'The key nodes'));
});

test('a policy in words says what is not allowed, too', () => {
  const body = {
    kinds: ['aggregate_public'], min_cohort: '1', quota_values: '1000', quota_bits: '64000', price_order: '2000', price_output: '250', custodian_basis_points: 7500,
    min_class: 'proven', openers: { custody: 'custodian_held', node_key: 'aa' }, tickets: null,
  };
  const words = policyWords({ body }).join(' ');
  assert.match(words, /No value of a single row/);
  assert.match(words, /1 row /);
  assert.match(words, /20\.00\u00a0cr and 2\.50\u00a0cr/);
  assert.match(words, /75 %/);
  assert.match(words, /therefore sees them/);
  assert.match(policyWords({ body: { ...body, kinds: ['rows_public'] } }).join(' '), /every person/);
});

test('prices are exact', () => {
  assert.equal(priceOf('2000', '250', 2), 2500n);
  assert.equal(priceOf('1', '9007199254740993', '3'), 27021597764222980n);
});

test('types as text', () => {
  const ref = { kind: 'NON_NULL', name: null, ofType: { kind: 'LIST', name: null, ofType: { kind: 'NON_NULL', name: null, ofType: { kind: 'SCALAR', name: 'String' } } } };
  assert.equal(typeText(ref).join(''), '[String!]!');
});

test('a draft of a query names what it needs', () => {
  const id = { name: 'id', defaultValue: null, type: { kind: 'NON_NULL', name: null, ofType: { kind: 'SCALAR', name: 'String' } } };
  const first = { name: 'first', defaultValue: null, type: { kind: 'SCALAR', name: 'Int' } };
  const made = skeleton('query', { name: 'listingOrders', args: [id, first], type: ref('OrderConnection') }, ['nodes { id }']);
  assert.equal(made.query, 'query($id: String!, $first: Int) {\n  listingOrders(id: $id, first: $first) {\n    nodes { id }\n  }\n}');
  assert.deepEqual(JSON.parse(made.variables), { id: '', first: 10 });
  assert.equal(skeleton('query', { name: 'x', args: [], type: ref('Int') }, []).query, 'query {\n  x\n}');
});

/** @param {string} name */
function ref(name) {
  return { kind: 'OBJECT', name };
}

test('operations of a document', () => {
  assert.deepEqual(operationsOf('{ a }'), ['query']);
  assert.deepEqual(operationsOf('mutation($x: Int) { query(mutation: 1) }'), ['mutation']);
  assert.deepEqual(operationsOf('# subscription\nquery A { a(text: "mutation {") }'), ['query']);
  assert.deepEqual(operationsOf('subscription { x }'), ['subscription']);
});

test('a link puts nothing into the explorer that acts (WEB-11)', () => {
  for (const good of ['{ me { id } }', 'query($a: Int) { x(a: $a) }', '# mutation\n{ a }']) assert.equal(linked(good), good);
  const bad = [
    null, '', 'mutation { a }', '# hi\rmutation { a }', '{ a } mutation M { b }', 'subscription { a }',
    'fragment F on Query @a(x: """ \\""" """) { a } mutation M { b } #"""',
    'fragment F on Query @a(x: "\\"") { a } mutation M { b }',
  ];
  for (const text of bad) assert.equal(linked(text), null, String(text));
});
