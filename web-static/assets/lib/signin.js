// @ts-check
/** Signing in: the form, and the dialog that keeps the page behind it. */
import { ApiError } from './api.js';
import { h } from './dom.js';
import { session, signIn } from './session.js';
import { dialog, field, form } from './ui.js';

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

/**
 * Over the present page; true when the same person is back.
 * @param {import('./session.js').Account | null} who was signed in before
 * @returns {Promise<boolean>}
 */
export function signInDialog(who) {
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
        resolve(inside && (!who || session()?.id === who.id));
      },
    });
  });
}
