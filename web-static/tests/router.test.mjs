import assert from 'node:assert/strict';
import { test } from 'node:test';
import { find, match, safeReturn } from '../assets/lib/router.js';

test('patterns', () => {
  assert.deepEqual(match('/', '/'), {});
  assert.deepEqual(match('/listings', '/listings/'), {});
  assert.deepEqual(match('/listings/:id', '/listings/a%20b'), { id: 'a b' });
  assert.equal(match('/listings/:id', '/listings'), null);
  assert.equal(match('/listings/:id', '/listings//'), null);
  assert.equal(match('/listings/:id', '/listings/a/query'), null);
  assert.equal(match('/listings/:id', '/listings/%E0%A4%A'), null);
});

test('fixed parts go before parameters, whatever the order of the table', () => {
  const routes = [{ path: '/custodian/:id' }, { path: '/custodian/new' }, { path: '/custodian' }];
  assert.equal(find(routes, '/custodian/new')?.route.path, '/custodian/new');
  assert.deepEqual(find(routes, '/custodian/x')?.params, { id: 'x' });
  assert.equal(find(routes, '/custodian')?.route.path, '/custodian');
  assert.equal(find(routes, '/nothing'), null);
});

test('after signing in one comes back to this site only', () => {
  assert.equal(safeReturn('/orders/1?x=2#y'), '/orders/1?x=2#y');
  for (const bad of [null, '', 'orders', '//evil.example', 'https://evil.example', '/\\evil.example', 'javascript:alert(1)']) assert.equal(safeReturn(bad), null, String(bad));
});
