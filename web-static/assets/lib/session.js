// @ts-check
/**
 * Who is signed in. The cookie is the server's; here is only what `me` says of
 * it, shared between tabs so that signing out in one signs out in all.
 */
import { ApiError, gql, onSignedOut, rest } from './api.js';
import { h } from './dom.js';
import { dialog, field, form } from './ui.js';

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
let loaded = false;
/** @type {Set<(a: Account | null, before: Account | null) => void>} */
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
 * Called at every change of who is signed in.
 * @param {(a: Account | null, before: Account | null) => void} listener
 */
export function onSession(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * @param {Account | null} next
 * @param {boolean} tell other tabs
 */
function set(next, tell) {
  const before = account;
  account = next;
  const changed = JSON.stringify(before) !== JSON.stringify(next);
  if (changed) for (const l of listeners) l(next, before);
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

/**
 * What a sign-in's refusal means for the person before the form.
 * @param {ApiError} e
 */
export function signInProblem(e) {
  if (e.code === 'WRONG_CREDENTIALS') return 'Mail address and password do not belong together. Check both; capital letters count in the password.';
  if (e.code === 'SECOND_FACTOR_WRONG') return 'That code is not valid now. Wait for the next one in your app, or use a recovery code.';
  if (e.code === 'RATE_LIMITED') return `Too many attempts. Try again in ${e.retryAfterSeconds ?? 60} seconds.`;
  if (e.code === 'ACCOUNT_SUSPENDED') return 'This account is suspended. The letter that we sent says why and whom to ask.';
  return e.message;
}

/**
 * The sign-in form, used by the page and by the dialog.
 * @param {{mail?: string, done: () => void}} options
 */
export function signInForm(options) {
  const mail = field({ label: 'Mail address', name: 'mail', type: 'email', autocomplete: 'username', required: true, value: options.mail ?? '' });
  const password = field({ label: 'Password', name: 'password', type: 'password', autocomplete: 'current-password', required: true });
  const code = field({
    label: 'Code of your second factor', name: 'code', autocomplete: 'one-time-code', inputmode: 'text',
    hint: 'Six digits from your authenticator app, or one of your recovery codes.',
  });
  code.node.hidden = true;
  return form({
    fields: [mail, password, code],
    submit: 'Sign in',
    async onsubmit() {
      try {
        await signIn(mail.value(), password.value(), code.node.hidden ? undefined : code.value().replaceAll(' ', ''));
      } catch (e) {
        if (!(e instanceof ApiError)) throw e;
        if (e.code === 'SECOND_FACTOR_NEEDED') {
          code.node.hidden = false;
          code.input.required = true;
          code.input.focus();
          return;
        }
        if (e.code === 'SECOND_FACTOR_WRONG') {
          code.node.hidden = false;
          code.setError(signInProblem(e));
          code.input.focus();
          return;
        }
        throw new ApiError(e.code, signInProblem(e), { status: e.status });
      }
      options.done();
    },
  });
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
  const who = account;
  // Another tab may have signed in meanwhile.
  if (who !== null || loaded) {
    const now = await loadSession().catch(() => null);
    if (now && (!who || now.id === who.id)) return true;
  }
  return new Promise((resolve) => {
    let inside = false;
    const d = dialog({
      title: 'Sign in to go on',
      body: [
        h('p', null, who ? 'Your session has ended. Sign in again and this page goes on where it is; nothing that you entered is lost.' : 'This needs an account.'),
        signInForm({
          mail: who?.mail ?? '',
          done() {
            inside = true;
            d.close();
          },
        }).node,
        h('p', { class: 'small quiet' }, 'No account yet? ', h('a', { href: '/register' }, 'Make one'), '. Forgotten your password? ', h('a', { href: '/reset-password' }, 'Set a new one'), '.'),
      ],
      onclose() {
        resolve(inside && (!who || account?.id === who.id));
      },
    });
  });
}

onSignedOut(askToSignIn);
