// @ts-check
import { gql } from '../lib/api.js';
import { h, pieces } from '../lib/dom.js';
import { session, signIn } from '../lib/session.js';
import { field, form, linkButton } from '../lib/ui.js';

const ROLES = [
  { value: 'BUYER', key: 'buyer', label: 'Buyer', hint: 'Ask questions of datasets and pay for the answers.' },
  { value: 'CUSTODIAN', key: 'custodian', label: 'Custodian', hint: 'List encrypted datasets and earn from the questions asked.' },
  { value: 'PARTNER', key: 'partner', label: 'Partner platform', hint: 'Integrate through the API, on behalf of your own customers.' },
];

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  if (session()) {
    return { title: 'Register', node: h('div', { class: 'narrow stack' }, h('h1', null, 'You have an account'), h('p', null, `You are signed in as ${session()?.mail}. Sign out first to make another.`), linkButton('Account', '/account', 'main')) };
  }
  const wanted = ctx.query.get('role') ?? 'buyer';
  const name = field({ label: 'Name', name: 'name', required: true, autocomplete: 'organization', maxlength: 100, hint: 'Of your organisation or yourself. Shown to those you trade with.' });
  const mail = field({ label: 'Mail address', name: 'mail', type: 'email', required: true, autocomplete: 'username', maxlength: 254 });
  const password = field({
    label: 'Password', name: 'password', type: 'password', required: true, autocomplete: 'new-password', hint: '12 to 128 characters. A few unrelated words do well.',
    check: (v) => ([...v].length < 12 ? `At least 12 characters; this has ${[...v].length}.` : [...v].length > 128 ? `At most 128 characters; this has ${[...v].length}.` : null),
  });
  const roles = ROLES.map((r) => field({ label: r.label, name: 'roles', type: 'checkbox', hint: r.hint, checked: r.key === wanted }));
  const none = h('p', { class: 'error', hidden: true }, 'Choose at least one.');
  const f = form({
    fields: [name, mail, password, ...roles],
    submit: 'Make the account',
    body: pieces(name.node, mail.node, password.node, h('fieldset', null, h('legend', null, 'What will you do here?'), h('div', { class: 'choices' }, roles.map((r) => r.node)), none)),
    async onsubmit() {
      const chosen = ROLES.filter((_, i) => roles[i]?.checked()).map((r) => r.value);
      none.hidden = chosen.length > 0;
      if (chosen.length === 0) {
        roles[0]?.input.focus();
        return;
      }
      await gql('mutation($mail: String!, $name: String!, $password: String!, $roles: [AccountRole!]!) { register(mail: $mail, name: $name, password: $password, roles: $roles) { id } }',
        { mail: mail.value(), name: name.value(), password: password.value(), roles: chosen }, { quiet: true });
      await signIn(mail.value(), password.value());
      ctx.go('/verify-mail');
    },
  });
  return {
    title: 'Make an account',
    node: h('div', { class: 'narrow stack' }, h('h1', null, 'Make an account'), h('div', { class: 'card' }, f.node),
      h('p', { class: 'small quiet' }, 'You have one already? ', h('a', { href: '/signin' }, 'Sign in'), '. Admins and auditors are appointed, not registered.')),
  };
}
