// @ts-check
/** Staff's first page: what waits, whether the books and the log hold. */
import { gql } from '../../lib/api.js';
import { count, credits, h, plural } from '../../lib/dom.js';
import { meter } from '../../lib/plot.js';
import { badge, empty, figure, figures, linkButton, mark, note, section } from '../../lib/ui.js';
import { all, exportButton, mayAct, staffPage } from '../parts/staff.js';

const QUERY = `query Overview {
  overview { accounts listingsPublished reviewWaiting ordersOpen ordersReleased ordersRefunded volume mailsWaiting }
  alarms { code severity at subject message }
  ledgerCheck { balanced accounts transfers failure }
  auditCheck { intact length head failure }
}`;
const WAITING = `query Waiting($after: String) { machines(first: 100, after: $after) { nodes { id decision } pageInfo { hasNextPage endCursor } } }`;
const CASH = `query WaitingCash { deposits(first: 100) { nodes { id decision } } withdrawals(first: 100) { nodes { id decision } } }`;

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const [data, cash, machines] = await Promise.all([
    gql(QUERY, {}, { signal: ctx.signal }),
    gql(CASH, {}, { signal: ctx.signal }),
    all(async (after) => (await gql(WAITING, { after }, { signal: ctx.signal })).machines),
  ]);
  const o = data.overview;
  const pending = (/** @type {any[]} */ rows) => rows.filter((r) => r.decision === 'pending').length;
  const queue = [
    { label: plural(o.reviewWaiting, 'listing waits', 'listings wait'), href: '/admin/review', n: Number(o.reviewWaiting) },
    { label: plural(pending(cash.deposits.nodes), 'deposit waits', 'deposits wait'), href: '/admin/cash', n: pending(cash.deposits.nodes) },
    { label: plural(pending(cash.withdrawals.nodes), 'withdrawal waits', 'withdrawals wait'), href: '/admin/cash?tab=withdrawals', n: pending(cash.withdrawals.nodes) },
    { label: plural(pending(machines.rows), 'machine waits', 'machines wait'), href: '/admin/machines', n: pending(machines.rows) },
    { label: plural(o.mailsWaiting, 'mail waits to be sent', 'mails wait to be sent'), href: '/admin/mails', n: 0 },
  ];
  const waiting = queue.filter((q) => q.n > 0);
  const grave = data.alarms.filter((/** @type {any} */ a) => a.severity !== 'info');
  const ended = Number(o.ordersReleased) + Number(o.ordersRefunded);
  return staffPage({
    title: 'Overview', at: '/admin',
    lead: mayAct() ? 'What waits for a decision, and whether everything holds.' : 'Everything an admin sees. You change nothing.',
    actions: [exportButton('Ledger (CSV)', 'ledger.csv'), exportButton('Orders (CSV)', 'orders.csv'), exportButton('Audit log (JSONL)', 'audit.jsonl')],
    body: h('div', { class: 'stack-large' },
      grave.length > 0
        ? note(grave.some((/** @type {any} */ a) => a.severity === 'critical') ? 'bad' : 'warn', h('p', null, h('strong', null, plural(grave.length, 'alarm'))), h('ul', null, grave.slice(0, 5).map((/** @type {any} */ a) => h('li', null, badge(a.severity), ' ', a.message))), linkButton('All alarms', '/admin/alarms'))
        : null,
      section('Waiting', waiting.length > 0
        ? h('ul', { class: 'cards' }, waiting.map((q) => h('li', { class: 'entry' }, h('h3', null, h('a', { href: q.href }, q.label)))))
        : empty('Nothing waits for a decision', 'Listings, deposits, withdrawals and machines appear here.')),
      section('The market', h('div', { class: 'stack' }, figures(
        figure('Accounts', count(o.accounts), h('a', { href: '/admin/accounts' }, 'All accounts')),
        figure('Published listings', count(o.listingsPublished)),
        figure('Orders under way', count(o.ordersOpen)),
        figure('Paid for delivered orders', credits(o.volume))),
      ended > 0 ? meter({ title: 'Orders that have ended', parts: [{ label: 'released', value: Number(o.ordersReleased), text: count(o.ordersReleased) }, { label: 'refunded', value: Number(o.ordersRefunded), text: count(o.ordersRefunded) }] }) : null)),
      section('What must hold', h('ul', { class: 'plain' },
        h('li', null, mark(data.ledgerCheck.balanced, data.ledgerCheck.balanced ? `The ledger balances: ${count(data.ledgerCheck.transfers)} transfers over ${count(data.ledgerCheck.accounts)} accounts, recomputed now` : `The ledger does not balance: ${data.ledgerCheck.failure}`), ' ', h('a', { href: '/admin/ledger' }, 'Ledger')),
        h('li', null, mark(data.auditCheck.intact, data.auditCheck.intact ? `The audit chain is whole: ${count(data.auditCheck.length)} records, checked now` : `The audit chain is damaged: ${data.auditCheck.failure}`), ' ', h('a', { href: '/admin/audit' }, 'Audit log'))))),
  });
}
