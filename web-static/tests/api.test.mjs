// Refusals keep their code, field, limit and value; a session that ended is asked for once.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { ApiError, download, errorOf, gql, onSignedOut, rest, subscribe } from '../assets/lib/api.js';

const real = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = real;
  onSignedOut(async () => false);
});
/** @param {...[number, unknown, Record<string, string>?]} answers */
function answering(...answers) {
  const seen = [];
  globalThis.fetch = async (path, init) => {
    seen.push({ path, ...init });
    const [status, body, headers] = answers.shift();
    return new Response(body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body), { status, headers });
  };
  return seen;
}

test('a GraphQL refusal', () => {
  const e = errorOf({ data: null, errors: [{ message: 'first: 101 exceeds the limit 100', extensions: { code: 'TOO_LARGE', field: 'first', limit: '100', value: '101', status: 413 } }] }, 200);
  assert.ok(e instanceof ApiError);
  assert.deepEqual([e.code, e.field, e.limit, e.value, e.status], ['TOO_LARGE', 'first', '100', '101', 413]);
});

test('a refusal of a plain route, and one without a body', () => {
  const e = errorOf({ code: 'RATE_LIMITED', message: 'too many requests' }, 429, '17');
  assert.deepEqual([e?.code, e?.retryAfterSeconds], ['RATE_LIMITED', 17]);
  assert.equal(errorOf(null, 502)?.code, 'HTTP_502');
  assert.equal(errorOf({ data: {} }, 200), null);
});

test('every request shows that a page asks, with the cookie of this origin alone', async () => {
  const seen = answering([200, { data: { a: 1 } }], [200, undefined]);
  assert.deepEqual(await gql('{ a }'), { a: 1 });
  await download('/v1/x');
  for (const r of seen) {
    assert.equal(r.headers['x-veilbourse'], 'web');
    assert.equal(r.credentials, 'same-origin');
    assert.equal(r.redirect, 'error');
  }
});

test('a session that ended is asked for once, and the request goes on', async () => {
  const out = { errors: [{ message: 'sign in first', extensions: { code: 'UNAUTHENTICATED', status: 401 } }] };
  let asked = 0;
  onSignedOut(async () => {
    asked += 1;
    return true;
  });
  answering([200, out], [200, { data: { me: 1 } }]);
  assert.deepEqual(await gql('{ me }'), { me: 1 });
  assert.equal(asked, 1);
  answering([200, out], [200, out]);
  await assert.rejects(gql('{ me }'), { code: 'UNAUTHENTICATED' });
  assert.equal(asked, 2, 'not asked again for what fails twice');
  answering([200, out]);
  await assert.rejects(gql('{ me }', {}, { quiet: true }), { code: 'UNAUTHENTICATED' });
  assert.equal(asked, 2, 'quiet requests never ask');
});

test('a wrong password is not taken for a session that ended', async () => {
  let asked = false;
  onSignedOut(async () => (asked = true));
  answering([401, { code: 'WRONG_CREDENTIALS', message: 'mail or password is wrong' }]);
  await assert.rejects(rest('POST', '/v1/session', {}), { code: 'WRONG_CREDENTIALS', status: 401 });
  assert.equal(asked, false);
});

test('no connection is said so', async () => {
  globalThis.fetch = async () => {
    throw new TypeError('failed to fetch');
  };
  await assert.rejects(gql('{ a }'), { code: 'UNREACHABLE' });
});

test('an answer that is none', async () => {
  answering([200, '<html>']);
  await assert.rejects(gql('{ a }'), { code: 'BAD_ANSWER' });
});

test('a subscription: acknowledged, followed, ended once', () => {
  const sent = [];
  let socket;
  globalThis.location = { href: 'https://market.example/orders/1' };
  globalThis.WebSocket = class {
    constructor(at, protocol) {
      this.at = String(at);
      this.protocol = protocol;
      socket = this;
    }
    send(text) {
      sent.push(JSON.parse(text));
    }
    close() {
      this.onclose?.({ reason: '' });
    }
  };
  const heard = [];
  subscribe('subscription { x }', { id: '1' }, { next: (d) => heard.push(d), error: (e) => heard.push(e.code), complete: () => heard.push('complete') });
  assert.equal(socket.at, 'wss://market.example/graphql');
  assert.equal(socket.protocol, 'graphql-transport-ws');
  socket.onopen();
  assert.deepEqual(sent.shift(), { type: 'connection_init', payload: {} });
  const get = (m) => socket.onmessage({ data: JSON.stringify(m) });
  get({ type: 'connection_ack' });
  assert.equal(sent.shift().type, 'subscribe');
  get({ type: 'ping' });
  assert.deepEqual(sent.shift(), { type: 'pong' });
  get({ type: 'next', id: '1', payload: { data: { x: 1 } } });
  get({ type: 'complete', id: '1' });
  get({ type: 'next', id: '1', payload: { data: { x: 2 } } });
  assert.deepEqual(heard, [{ x: 1 }, 'complete']);
  delete globalThis.WebSocket;
  delete globalThis.location;
});
