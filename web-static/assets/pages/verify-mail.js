// @ts-check
/** Confirms an address by the link's token, or says where the letter is. */
import { gql } from '../lib/api.js';
import { h, put } from '../lib/dom.js';
import { loadSession, session } from '../lib/session.js';
import { button, linkButton, loading, note, problem, toast } from '../lib/ui.js';

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const box = h('div', { class: 'narrow stack' });
  // The token is in the fragment, which no server sees; it leaves the address
  // bar at once.
  const token = ctx.hash;
  if (token) {
    history.replaceState(history.state, '', location.pathname);
    put(box, h('h1', null, 'Confirming your address'), loading('Confirming', 2));
    void confirm();
  } else waiting();
  async function confirm() {
    try {
      await gql('mutation($token: String!) { verifyMail(token: $token) }', { token }, { quiet: true });
      await loadSession().catch(() => null);
      const roles = session()?.roles ?? [];
      put(box, h('h1', null, 'Your address is confirmed'), note('good', h('p', null, 'You can list, order and move money now.')),
        h('div', { class: 'actions' }, session()
          ? [roles.includes('CUSTODIAN') ? linkButton('List a dataset', '/custodian/new', roles.includes('BUYER') ? '' : 'main') : null, roles.includes('BUYER') || roles.includes('PARTNER') ? linkButton('Look at the datasets', '/listings', 'main') : null]
          : linkButton('Sign in', '/signin', 'main')));
    } catch (e) {
      put(box, h('h1', null, 'This link does not work'), note('bad', h('p', null, problem(e))),
        h('p', null, 'Links work once, for the address they were sent to, and not for ever. Ask for another letter.'), again());
    }
  }
  function again() {
    return session()
      ? button('Send another letter', async () => {
        await gql('mutation { resendVerification }');
        toast('A letter is on its way.', 'good');
      }, { kind: 'main' })
      : linkButton('Sign in to ask for another', '/signin?to=/verify-mail', 'main');
  }
  function waiting() {
    const who = session();
    if (!who) {
      put(box, h('h1', null, 'Confirm your mail address'), h('p', null, 'Follow the link in the letter that we sent when you registered. To get another, sign in.'), again());
      return;
    }
    if (who.verified) {
      put(box, h('h1', null, 'Your address is confirmed'), h('p', null, `${who.mail} belongs to you.`), linkButton('Go on', '/', 'main'));
      return;
    }
    put(box, h('h1', null, 'Look into your mail'),
      h('p', null, 'We sent a letter to ', h('strong', null, who.mail), '. Follow its link to confirm that the address is yours. Until then you can look around, but not list, order or move money.'),
      h('div', { class: 'actions' }, again(), button('I have confirmed it', async () => {
        const now = await loadSession();
        if (now?.verified) ctx.refresh();
        else toast('Not yet: the link was not followed.');
      })),
      h('p', { class: 'small quiet' }, 'This marketplace may be set up without a mail server, for trying it out: its letters then lie in a folder and ', h('a', { href: `/mails?address=${encodeURIComponent(who.mail)}` }, 'can be read here'), '.'));
  }
  return { title: 'Confirm your address', node: box };
}
