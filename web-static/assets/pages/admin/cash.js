// @ts-check
/** Deposits and withdrawals. */
import { gql } from '../../lib/api.js';
import { credits, h, when } from '../../lib/dom.js';
import { badge, button, empty, pages, table, tabs, toast } from '../../lib/ui.js';
import { accountNames, mayAct, staffPage, withReason } from '../parts/staff.js';

/** What is asked of each list. */
const LISTS = {
  deposits: {
    query: `query Deposits($after: String) { list: deposits(first: 25, after: $after) {
  nodes { id kind account amount decision reason createdAt } pageInfo { hasNextPage endCursor } } }`,
    act: 'mutation DecideDeposit($id: String!, $approve: Boolean!, $reason: String!) { decideDeposit(id: $id, approve: $approve, reason: $reason) { id decision } }',
  },
  withdrawals: {
    query: `query Withdrawals($after: String) { list: withdrawals(first: 25, after: $after) {
  nodes { id kind account amount decision reason createdAt } pageInfo { hasNextPage endCursor } } }`,
    act: 'mutation DecideWithdrawal($id: String!, $approve: Boolean!, $reason: String!) { decideWithdrawal(id: $id, approve: $approve, reason: $reason) { id decision } }',
  },
};

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const names = await accountNames(ctx.signal);
  /** @param {'deposits' | 'withdrawals'} list */
  const shown = (list) => {
    const view = pages({
      what: list === 'deposits' ? 'Deposits' : 'Withdrawals',
      fetch: async (after) => (await gql(LISTS[list].query, { after }, { signal: ctx.signal })).list,
      show: (/** @type {any[]} */ rows) => table({
        caption: list, rows, empty: empty(`No ${list}`, 'What accounts ask for appears here.'),
        columns: [
          { label: 'Account', head: true, cell: (r) => [names.get(r.account)?.name ?? r.account, h('p', { class: 'small quiet' }, names.get(r.account)?.mail ?? '')] },
          { label: 'Amount', numeric: true, cell: (r) => credits(r.amount) },
          { label: 'Asked', cell: (r) => when(r.createdAt) },
          { label: 'Decision', cell: (r) => [badge(r.decision), r.reason ? h('p', { class: 'small quiet' }, r.reason) : null] },
          ...(mayAct() ? [{ label: h('span', { class: 'hidden' }, 'Acts'), name: 'Acts', cell: (/** @type {any} */ r) => (r.decision === 'pending' ? h('div', { class: 'actions' }, decide(r, true), decide(r, false)) : null) }] : []),
        ],
      }),
    });
    /** @param {any} r @param {boolean} approve */
    const decide = (r, approve) => button(approve ? 'Approve' : 'Refuse', async () => {
      const who = names.get(r.account)?.name ?? r.account;
      const done = await withReason({
        title: `${approve ? 'Approve' : 'Refuse'} ${credits(r.amount)} for ${who}?`,
        lead: list === 'deposits'
          ? (approve ? 'Only when the money has arrived outside: this creates it in the ledger. It is final.' : 'Nothing is posted. It is final; they may ask again.')
          : (approve ? 'Only when you have paid it out: this takes it out of the ledger. It is final.' : 'The reserved amount goes back to the account. It is final.'),
        submit: approve ? 'Approve' : 'Refuse', danger: !approve, required: !approve,
        act: (reason) => gql(LISTS[list].act, { id: r.id, approve, reason }),
      });
      if (!done) return;
      toast(approve ? 'Approved.' : 'Refused.', 'good');
      await view.reload();
    }, { kind: approve ? 'main' : '' });
    return view.node;
  };
  return staffPage({
    title: 'Cash', lead: 'What comes in and goes out of the ledger. Nobody decides their own request.',
    body: tabs([
      { key: 'deposits', label: 'Deposits', body: () => shown('deposits') },
      { key: 'withdrawals', label: 'Withdrawals', body: () => shown('withdrawals') },
    ], ctx.query.get('tab') ?? 'deposits', undefined, 'Deposits and withdrawals').node,
  });
}
