// @ts-check
/** Accounts: who they are, and what staff may do about them. */
import { gql } from '../../lib/api.js';
import { h, put, when, words } from '../../lib/dom.js';
import { badge, button, empty, field, hash, mark, pages, table, tag, toast } from '../../lib/ui.js';
import { mayAct, staffPage, withReason } from '../parts/staff.js';

const QUERY = `query Accounts($after: String, $search: String) { accounts(first: 25, after: $after, search: $search) {
  nodes { id mail name roles verified secondFactor state createdAt signingKeys { key revokedAt } } pageInfo { hasNextPage endCursor } } }`;

/** Acts on an account, by the mutation's name. */
const ACTS = {
  suspendAccount: { label: 'Suspend', lead: 'Its sessions end, its published listings are paused, nobody signs in. Orders under way are finished.', danger: true, act: 'mutation Suspend($id: String!, $reason: String!) { suspendAccount(id: $id, reason: $reason) { id state } }' },
  restoreAccount: { label: 'Restore', lead: 'The account may be used again; its listings stay paused until their owner resumes them.', danger: false, act: 'mutation Restore($id: String!, $reason: String!) { restoreAccount(id: $id, reason: $reason) { id state } }' },
  clearSecondFactor: { label: 'Clear second factor', lead: 'For somebody who lost their authenticator and recovery codes, and whom you know to be who they say. They get a letter.', danger: true, act: 'mutation ClearFactor($id: String!, $reason: String!) { clearSecondFactor(id: $id, reason: $reason) }' },
};

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const search = field({ label: 'Name or mail address', name: 'search', type: 'search', value: ctx.query.get('search') ?? '', hideLabel: true, placeholder: 'Name or mail address' });
  const box = h('div');
  const list = () => {
    const wanted = search.value();
    const shown = pages({
      what: 'Accounts',
      fetch: async (after) => (await gql(QUERY, { after, search: wanted || null }, { signal: ctx.signal })).accounts,
      show: (/** @type {any[]} */ rows) => table({
        caption: 'Accounts', rows, empty: empty('No account', wanted ? `None has “${wanted}” in its name or address.` : 'Nobody has registered yet.'),
        columns: [
          { label: 'Name', head: true, cell: (a) => [a.name, h('p', { class: 'small quiet' }, a.mail), hash(a.id, 8)] },
          { label: 'Roles', cell: (a) => h('ul', { class: 'plain' }, a.roles.map((/** @type {string} */ r) => h('li', null, tag(words(r))))) },
          { label: 'State', cell: (a) => badge(a.state) },
          { label: 'Shown to be theirs', cell: (a) => h('ul', { class: 'plain' }, h('li', null, mark(a.verified, a.verified ? 'mail' : 'mail not confirmed')), h('li', null, mark(a.secondFactor, a.secondFactor ? 'second factor' : 'no second factor'))) },
          { label: 'Since', cell: (a) => when(a.createdAt) },
          ...(mayAct() ? [{ label: h('span', { class: 'hidden' }, 'Acts'), name: 'Acts', cell: (/** @type {any} */ a) => acts(a) }] : []),
        ],
      }),
    });
    /** @param {any} a */
    const acts = (a) => h('div', { class: 'actions' }, (/** @type {(keyof typeof ACTS)[]} */ ([
      ...(a.state === 'active' ? ['suspendAccount'] : a.state === 'suspended' ? ['restoreAccount'] : []),
      ...(a.secondFactor && a.state !== 'deleted' ? ['clearSecondFactor'] : []),
    ])).map((name) => button(ACTS[name].label, async () => {
      const o = ACTS[name];
      const done = await withReason({
        title: `${o.label}: ${a.name}`, lead: o.lead, submit: o.label, danger: o.danger,
        act: (reason) => gql(o.act, { id: a.id, reason }),
      });
      if (!done) return;
      toast(`${o.label}: done.`, 'good');
      await shown.reload();
    }, { kind: ACTS[name].danger ? 'danger' : '' })));
    put(box, shown.node);
  };
  const form = h('form', {
    class: 'row', role: 'search',
    /** @param {Event} e */
    onsubmit(e) {
      e.preventDefault();
      list();
    },
  }, search.node, h('button', { type: 'submit', class: 'button' }, 'Search'));
  list();
  return staffPage({ title: 'Accounts', lead: 'Whoever is suspended keeps what is theirs; nothing of the ledger changes.', body: h('div', { class: 'stack' }, form, box) });
}
