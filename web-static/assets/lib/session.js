// @ts-check
/**
 * Who is signed in. The cookie is the server's; here is only what `me` says of
 * it, shared between tabs so that signing out in one signs out in all.
 */
import { ApiError, gql, onSignedOut, rest } from './api.js';

/**
 * @typedef {object} Account
 * @property {string} id
 * @property {string} mail
 * @property {string} name
 * @property {string[]} roles
 * @property {boolean} verified
 * @property {boolean} secondFactor
 */

const ME = '{ me { id mail name roles verified secondFactor } }';

/** @type {Account | null} */
let account = null;
/** Whose the page is, also while their session is over. @type {Account | null} */
let owner = null;
let loaded = false;
/** @type {Set<(a: Account | null, pageIsTheirs: boolean) => void>} */
const listeners = new Set();
const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('veilbourse-session');

/** The account signed in, as last known. */
export function session() {
  return account;
}

/** @param {string[]} roles */
export function hasRole(...roles) {
  return account !== null && account.roles.some((r) => roles.includes(r));
}

/** Admins and auditors: they see everything. */
export function isStaff() {
  return hasRole('ADMIN', 'AUDITOR');
}

/**
 * Called at every change of who is signed in, with whether the page shown may
 * stay: what was entered outlives the session of who entered it, and nobody
 * else gets to see it.
 * @param {(a: Account | null, pageIsTheirs: boolean) => void} listener
 */
export function onSession(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * @param {Account | null} next
 * @param {boolean} tell other tabs
 * @param {boolean} [over] the session ended by itself: the page stays
 */
function set(next, tell, over = false) {
  const changed = JSON.stringify(account) !== JSON.stringify(next);
  const theirs = over || owner === null || owner.id === next?.id;
  account = next;
  if (!over) owner = next;
  if (changed) for (const l of listeners) l(next, theirs);
  if (changed && tell) channel?.postMessage('changed');
}

/**
 * Asks the server who is signed in.
 * @param {{tell?: boolean}} [options]
 * @returns {Promise<Account | null>}
 */
export async function loadSession(options = {}) {
  try {
    const data = await gql(ME, {}, { quiet: true });
    set(data.me, options.tell ?? false);
  } catch (e) {
    if (!(e instanceof ApiError)) throw e;
    // A session that is over leaves its cookie behind: the server clears it,
    // so that public pages answer as to anybody.
    if (e.code === 'TOKEN_INVALID') await rest('DELETE', '/v1/session', undefined, { quiet: true }).catch(() => {});
    if (e.code === 'UNREACHABLE' || e.code === 'RATE_LIMITED') {
      if (!loaded) set(null, false);
      loaded = true;
      throw e;
    }
    set(null, options.tell ?? false);
  }
  loaded = true;
  return account;
}

channel?.addEventListener('message', () => void loadSession().catch(() => {}));

/**
 * Signs in; an {@link ApiError} with `SECOND_FACTOR_NEEDED` asks for `code`.
 * @param {string} mail
 * @param {string} password
 * @param {string} [code]
 */
export async function signIn(mail, password, code) {
  await rest('POST', '/v1/session', { mail, password, ...(code ? { code } : {}) }, { quiet: true });
  return loadSession({ tell: true });
}

/** Ends the session here and in every tab. */
export async function signOut() {
  await rest('DELETE', '/v1/session', undefined, { quiet: true });
  set(null, true);
}

/** @type {Promise<boolean> | null} */
let asking = null;

/**
 * Asks to sign in over the present page, which stays as it is. True when the
 * same person is back.
 */
export function askToSignIn() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

async function ask() {
  const who = owner;
  // Another tab may have signed in meanwhile.
  const now = await gql(ME, {}, { quiet: true }).then((d) => d.me, () => null);
  if (now) {
    set(now, false);
    return !who || now.id === who.id;
  }
  const { signInDialog } = await import('./signin.js');
  if (await signInDialog(who)) return true;
  // Turned down: a cookie that is of no use any more goes, so that public
  // pages answer as to anybody.
  if (!session()) return false;
  if (session()?.id === who?.id) {
    await rest('DELETE', '/v1/session', undefined, { quiet: true }).catch(() => {});
    set(null, false, true);
  }
  return false;
}

onSignedOut(askToSignIn);
