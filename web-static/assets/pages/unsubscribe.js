// @ts-check
import { gql } from '../lib/api.js';
import { h, put } from '../lib/dom.js';
import { button, linkButton, note, problem } from '../lib/ui.js';

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const token = ctx.hash;
  if (token) history.replaceState(history.state, '', location.pathname);
  const box = h('div', { class: 'narrow stack' });
  if (!token) {
    put(box, h('h1', null, 'Letters'), h('p', null, 'The link of a letter leads here with a token, which this address lacks. What you are sent can be chosen in your account.'), linkButton('Mail preferences', '/account#letters', 'main'));
  } else {
    put(box, h('h1', null, 'No more letters of this kind?'), h('p', null, 'Letters that an account cannot do without, such as a changed password, are sent all the same.'),
      button('Stop these letters', async () => {
        try {
          await gql('mutation($token: String!) { unsubscribe(token: $token) }', { token }, { quiet: true });
          put(box, h('h1', null, 'Done'), note('good', h('p', null, 'You will not be sent letters of this kind any more.')), linkButton('All preferences', '/account#letters'));
        } catch (e) {
          put(box, h('h1', null, 'This link does not work'), note('bad', h('p', null, problem(e))), linkButton('Mail preferences', '/account#letters', 'main'));
        }
      }, { kind: 'main' }));
  }
  return { title: 'Letters', node: box };
}
