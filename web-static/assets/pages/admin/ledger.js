// @ts-check
/** The ledger: its accounts, its check, every transfer. */
import { gql } from '../../lib/api.js';
import { count, credits, h, money, total, when, words } from '../../lib/dom.js';
import { badge, button, empty, hash, mark, note, pages, section, table } from '../../lib/ui.js';
import { accountNames, all, exportButton, staffPage } from '../parts/staff.js';

const CHECK = '{ ledgerCheck { balanced accounts transfers failure } }';
const ACCOUNTS = `query LedgerAccounts($after: String) { ledgerAccounts(first: 100, after: $after) {
  nodes { account balance { posted reserved incoming available } } pageInfo { hasNextPage endCursor } } }`;
const TRANSFERS = `query LedgerTransfers($after: String) { ledgerTransfers(first: 25, after: $after) {
  nodes { id kind state order postings { account amount } createdAt } pageInfo { hasNextPage endCursor } } }`;

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const options = { signal: ctx.signal };
  const [names, { ledgerCheck: check }, { rows, more }] = await Promise.all([
    accountNames(ctx.signal), gql(CHECK, {}, options),
    all(async (after) => (await gql(ACCOUNTS, { after }, options)).ledgerAccounts),
  ]);
  /** @param {string} account */
  const name = (account) => {
    const id = account.replace(/^user:/, '');
    return account === 'world' ? 'World: what came in and went out' : account === 'fees' ? 'The marketplace’s fees' : names.get(id)?.name ?? id;
  };
  // Added up here again, so that the page does not only repeat what is said.
  const sum = total(rows.map((/** @type {any} */ r) => r.balance.posted));
  const here = more ? null : sum === 0n;
  return staffPage({
    title: 'Ledger',
    lead: 'Money in equals money out, always. Only the world’s account is negative.',
    actions: exportButton('Download (CSV)', 'ledger.csv'),
    body: h('div', { class: 'stack-large' },
      check.balanced ? null : note('bad', h('p', null, h('strong', null, 'The ledger does not balance: '), check.failure), h('p', null, 'This is a reason to stop the server.')),
      section('Check', h('ul', { class: 'plain' },
        h('li', null, mark(check.balanced, check.balanced ? `The server recomputed ${count(check.transfers)} transfers over ${count(check.accounts)} accounts: every sum is zero` : 'The server’s check failed')),
        here === null ? h('li', { class: 'quiet' }, 'There are more accounts than are added up in this page.') : h('li', null, mark(here, here ? `This page added up the ${count(rows.length)} accounts below: zero` : `The accounts below sum to ${credits(sum)}`))),
      { actions: button('Check again', () => ctx.refresh()) }),
      section('Accounts', table({
        caption: 'Accounts of the ledger', rows,
        empty: empty('No account has moved money yet', 'Deposits make the first entries.'),
        columns: [
          { label: 'Account', head: true, cell: (/** @type {any} */ r) => name(r.account) },
          { label: 'Posted', numeric: true, cell: (r) => money(r.balance.posted) },
          { label: 'Reserved', numeric: true, cell: (r) => money(r.balance.reserved) },
          { label: 'Incoming', numeric: true, cell: (r) => money(r.balance.incoming) },
        ],
        foot: ['Sum', money(sum), '', ''],
      })),
      section('Transfers', pages({
        what: 'Transfers',
        fetch: async (after) => (await gql(TRANSFERS, { after }, options)).ledgerTransfers,
        show: (/** @type {any[]} */ list) => table({
          caption: 'Transfers, newest first', rows: list, empty: empty('No transfer yet', 'Deposits, withdrawals and escrow appear here.'),
          columns: [
            { label: 'When', head: true, cell: (t) => when(t.createdAt) },
            { label: 'Kind', cell: (t) => words(t.kind) },
            { label: 'State', cell: (t) => badge(t.state) },
            { label: 'Postings', cell: (t) => h('ul', { class: 'plain' }, t.postings.map((/** @type {any} */ p) => h('li', null, `${money(p.amount)} `, h('span', { class: 'quiet' }, name(p.account))))) },
            { label: 'Order', cell: (t) => (t.order ? h('a', { href: `/orders/${t.order}` }, 'Order') : '') },
            { label: 'Id', cell: (t) => hash(t.id, 8) },
          ],
        }),
      }).node)),
  });
}
