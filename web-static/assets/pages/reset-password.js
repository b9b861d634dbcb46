// @ts-check
/** Asks for a letter with a link; with the link's token, sets a password. */
import { gql } from '../lib/api.js';
import { h, put } from '../lib/dom.js';
import { field, form, linkButton, note } from '../lib/ui.js';

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const token = ctx.hash;
  if (token) history.replaceState(history.state, '', location.pathname);
  const box = h('div', { class: 'narrow stack' });
  if (token) setNew();
  else askFor();
  function askFor() {
    const mail = field({ label: 'Mail address of your account', name: 'mail', type: 'email', required: true, autocomplete: 'username' });
    const f = form({
      fields: [mail], submit: 'Send the letter',
      async onsubmit() {
        await gql('mutation($mail: String!) { requestPasswordReset(mail: $mail) }', { mail: mail.value() }, { quiet: true });
        put(box, h('h1', null, 'Look into your mail'), h('p', null, 'If ', h('strong', null, mail.value()), ' has an account, a letter with a link is on its way. The link works once and soon expires.'),
          h('p', { class: 'small quiet' }, 'No mail server here? ', h('a', { href: `/mails?address=${encodeURIComponent(mail.value())}` }, 'Local letters'), '.'));
      },
    });
    put(box, h('h1', null, 'Set a new password'), h('p', null, 'We send a link to your address. Whether an account exists is not told to anybody.'), h('div', { class: 'card' }, f.node));
  }
  function setNew() {
    const password = field({
      label: 'New password', name: 'password', type: 'password', required: true, autocomplete: 'new-password', hint: '12 to 128 characters.',
      check: (v) => ([...v].length < 12 ? `At least 12 characters; this has ${[...v].length}.` : [...v].length > 128 ? `At most 128 characters; this has ${[...v].length}.` : null),
    });
    const again = field({ label: 'The same again', name: 'again', type: 'password', required: true, autocomplete: 'new-password', check: (v) => (v === password.value() ? null : 'The two are not the same.') });
    const f = form({
      fields: [password, again], submit: 'Set the password',
      async onsubmit() {
        await gql('mutation($token: String!, $password: String!) { resetPassword(token: $token, password: $password) }', { token, password: password.value() }, { quiet: true });
        ctx.go('/signin?reset', { replace: true });
      },
    });
    put(box, h('h1', null, 'Set a new password'), h('div', { class: 'card' }, f.node),
      note('plain', h('p', null, 'All sessions of the account end. Your second factor and the vault in your browser stay as they are: the vault has a passphrase of its own.')), linkButton('Ask for another link', '/reset-password'));
  }
  return { title: 'Set a new password', node: box };
}
