// @ts-check
import { h } from '../lib/dom.js';
import { safeReturn } from '../lib/router.js';
import { session } from '../lib/session.js';
import { signInForm } from '../lib/signin.js';
import { button, linkButton, note } from '../lib/ui.js';
import { signOut } from '../lib/session.js';

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const to = safeReturn(ctx.query.get('to')) ?? null;
  const who = session();
  if (who) {
    return {
      title: 'Signed in',
      node: h('div', { class: 'narrow stack' }, h('h1', null, 'You are signed in'), h('p', null, `As ${who.name} (${who.mail}).`),
        h('div', { class: 'actions' }, linkButton('Go on', to ?? '/', 'main'), button('Sign out', async () => {
          await signOut();
          ctx.refresh();
        }))),
    };
  }
  const f = signInForm({
    done() {
      const roles = session()?.roles ?? [];
      const home = roles.includes('ADMIN') || roles.includes('AUDITOR') ? '/admin' : roles.includes('CUSTODIAN') ? '/custodian' : roles.includes('BUYER') || roles.includes('PARTNER') ? '/listings' : '/';
      ctx.go(to ?? home, { replace: true });
    },
  });
  return {
    title: 'Sign in',
    node: h('div', { class: 'narrow stack' }, h('h1', null, 'Sign in'),
      ctx.query.has('reset') ? note('good', 'Your password is changed. Sign in with the new one.') : null,
      h('div', { class: 'card' }, f.node),
      h('p', { class: 'small quiet' }, h('a', { href: '/reset-password' }, 'Forgotten your password?'), ' · ', h('a', { href: '/register' }, 'Make an account'))),
  };
}
