// @ts-check
/**
 * The marketplace's API from a page: GraphQL, the plain routes, and the
 * websocket of subscriptions. The session is a cookie that scripts cannot
 * read; the header shows that a page of this origin asks.
 */

/** Shows the server that a page asks, and no form of another site. */
export const PAGE_HEADER = Object.freeze({ 'x-veilbourse': 'web' });

/** What a session that is over answers. */
const SIGNED_OUT = new Set(['UNAUTHENTICATED', 'TOKEN_INVALID']);

/** A refusal, as the marketplace words it. */
export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{field?: string, limit?: string, value?: string, status?: number, retryAfterSeconds?: number}} [more]
   */
  constructor(code, message, more = {}) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.field = more.field;
    this.limit = more.limit;
    this.value = more.value;
    this.status = more.status ?? 0;
    this.retryAfterSeconds = more.retryAfterSeconds;
  }
}

/**
 * Asked when a session is over: true when somebody has signed in again.
 * @type {null | (() => Promise<boolean>)}
 */
let askForSignIn = null;

/** @param {() => Promise<boolean>} ask */
export function onSignedOut(ask) {
  askForSignIn = ask;
}

/**
 * @typedef {object} Options
 * @property {AbortSignal} [signal]
 * @property {boolean} [quiet] never asks to sign in again
 * @property {Record<string, string>} [headers]
 */

/**
 * What is wrong with an answer of GraphQL, or null.
 * @param {any} answer
 * @param {number} status
 * @param {string | null} retryAfter
 * @returns {ApiError | null}
 */
export function errorOf(answer, status, retryAfter = null) {
  const wait = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
  const first = Array.isArray(answer?.errors) ? answer.errors[0] : null;
  if (first) {
    const x = first.extensions ?? {};
    const seconds = x.retryAfterSeconds !== undefined ? Number(x.retryAfterSeconds) : wait;
    return new ApiError(String(x.code ?? 'BAD_REQUEST'), String(first.message), {
      field: x.field, limit: x.limit, value: x.value, status: Number(x.status ?? status), ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }),
    });
  }
  if (typeof answer?.code === 'string') {
    return new ApiError(answer.code, String(answer.message ?? answer.code), {
      field: answer.field, limit: answer.limit, value: answer.value, status, ...(wait === undefined ? {} : { retryAfterSeconds: wait }),
    });
  }
  if (status < 200 || status >= 300) return new ApiError('HTTP_' + status, `the server answered with status ${status}`, { status });
  return null;
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
async function reach(path, init) {
  try {
    return await fetch(path, { credentials: 'same-origin', cache: 'no-store', redirect: 'error', ...init });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new ApiError('UNREACHABLE', 'The marketplace cannot be reached. Is your connection up?');
  }
}

/** @param {Response} r */
async function json(r) {
  const text = await r.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {boolean} quiet
 * @returns {Promise<T>}
 */
async function signedIn(attempt, quiet) {
  try {
    return await attempt();
  } catch (e) {
    if (quiet || !askForSignIn || !(e instanceof ApiError) || !SIGNED_OUT.has(e.code)) throw e;
    if (await askForSignIn()) return attempt();
    throw e;
  }
}

/**
 * One GraphQL operation; its data, or an {@link ApiError}.
 * @param {string} query
 * @param {Record<string, unknown>} [variables]
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export function gql(query, variables = {}, options = {}) {
  return signedIn(async () => {
    const r = await reach('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...PAGE_HEADER, ...options.headers },
      body: JSON.stringify({ query, variables }),
      signal: options.signal ?? null,
    });
    const answer = await json(r);
    const wrong = errorOf(answer, r.status, r.headers.get('retry-after'));
    if (wrong) throw wrong;
    if (!answer?.data) throw new ApiError('BAD_ANSWER', 'The server answered with something that is no GraphQL answer.', { status: r.status });
    return answer.data;
  }, options.quiet ?? false);
}

/**
 * A plain route with JSON both ways.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export function rest(method, path, body, options = {}) {
  return signedIn(async () => {
    const r = await reach(path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), accept: 'application/json', ...PAGE_HEADER, ...options.headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: options.signal ?? null,
    });
    const answer = await json(r);
    const wrong = errorOf(answer, r.status, r.headers.get('retry-after'));
    if (wrong) throw wrong;
    return answer;
  }, options.quiet ?? false);
}

/**
 * Bytes to a plain route.
 * @param {string} method
 * @param {string} path
 * @param {BodyInit} body
 * @param {Options} [options]
 */
export function upload(method, path, body, options = {}) {
  return signedIn(async () => {
    const r = await reach(path, { method, headers: { ...PAGE_HEADER, ...options.headers }, body, signal: options.signal ?? null });
    const wrong = r.ok ? null : errorOf(await json(r), r.status, r.headers.get('retry-after'));
    if (wrong) throw wrong;
    return r;
  }, options.quiet ?? false);
}

/**
 * What a plain route has, as a blob.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Blob>}
 */
export function download(path, options = {}) {
  return signedIn(async () => {
    const r = await reach(path, { headers: { ...PAGE_HEADER, ...options.headers }, signal: options.signal ?? null });
    if (!r.ok) {
      const answer = await json(r);
      throw errorOf(answer, r.status, r.headers.get('retry-after')) ?? new ApiError('HTTP_' + r.status, `the server answered with status ${r.status}`, { status: r.status });
    }
    return r.blob();
  }, options.quiet ?? false);
}

/**
 * Hands a blob to the browser's downloads.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(blob);
  a.download = name;
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}

/**
 * Follows a subscription (graphql-transport-ws) until it completes.
 * @param {string} query
 * @param {Record<string, unknown>} variables
 * @param {{next: (data: any) => void, error: (e: ApiError) => void, complete: () => void}} to
 * @returns {() => void} ends it
 */
export function subscribe(query, variables, to) {
  const at = new URL('/graphql', location.href);
  at.protocol = at.protocol === 'https:' ? 'wss:' : 'ws:';
  let over = false;
  /** @param {() => void} tell */
  const end = (tell) => {
    if (over) return;
    over = true;
    tell();
    socket.close();
  };
  const socket = new WebSocket(at, 'graphql-transport-ws');
  /** @param {unknown} message */
  const send = (message) => socket.send(JSON.stringify(message));
  socket.onopen = () => send({ type: 'connection_init', payload: {} });
  socket.onmessage = (event) => {
    if (over) return;
    const m = JSON.parse(String(event.data));
    if (m.type === 'connection_ack') send({ id: '1', type: 'subscribe', payload: { query, variables } });
    else if (m.type === 'ping') send({ type: 'pong' });
    else if (m.type === 'next') {
      const wrong = errorOf(m.payload, 200);
      if (wrong) end(() => to.error(wrong));
      else to.next(m.payload.data);
    } else if (m.type === 'error') {
      end(() => to.error(errorOf({ errors: m.payload }, 200) ?? new ApiError('BAD_ANSWER', 'the subscription failed')));
    } else if (m.type === 'complete') end(to.complete);
  };
  socket.onclose = (event) => end(() => to.error(new ApiError(event.reason || 'SOCKET_CLOSED', 'The live connection ended.')));
  return () => end(() => {});
}

/**
 * A key for requests that must not happen twice.
 * @returns {string}
 */
export function idempotencyKey() {
  return crypto.randomUUID();
}
