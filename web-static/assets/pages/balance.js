// @ts-check
/** One's money: what is there, how it moved, deposits and withdrawals. */
import { gql, idempotencyKey } from '../lib/api.js';
import { credits, day, h, money, moment, parseMoney, put, when } from '../lib/dom.js';
import { meter, step } from '../lib/plot.js';
import { hasRole, session } from '../lib/session.js';
import { ask, badge, button, empty, field, figure, figures, heading, later, note, pages, section, table, tag, toast } from '../lib/ui.js';

const MONEY = '{ myBalance { posted reserved incoming available } }';
const POSTINGS = 'query($after: String) { myPostings(first: 50, after: $after) { nodes { id kind state order createdAt postings { account amount } } pageInfo { hasNextPage endCursor } } }';
/** @param {string} field_ */
const requests = (field_) => `query($after: String) { ${field_}(first: 20, after: $after) { nodes { id kind account amount decision reason createdAt } pageInfo { hasNextPage endCursor } } }`;

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const me = session();
  const own = `user:${me?.id}`;
  const balance = h('div');
  /** @type {any} */
  let now = null;
  async function loadBalance() {
    now = (await gql(MONEY, {}, { signal: ctx.signal })).myBalance;
    put(balance, figures(
      figure('Available', credits(now.available), 'can be spent now'),
      figure('In escrow', credits(now.reserved), 'reserved for orders and withdrawals'),
      figure('Announced', credits(now.incoming), 'on its way to you'),
      figure('Booked', credits(now.posted), 'all that is yours')),
    Number(now.posted) > 0 ? meter({ title: 'What your credits do', caption: false, parts: [{ label: 'Available', value: Number(now.available), text: credits(now.available) }, { label: 'In escrow', value: Number(now.reserved), text: credits(now.reserved) }] }) : null);
  }
  await loadBalance();

  const plot = h('div');
  const list = pages({
    what: 'Loading transfers',
    fetch: async (after) => (await gql(POSTINGS, { after }, { signal: ctx.signal })).myPostings,
    show(/** @type {any[]} */ rows) {
      put(plot, history_(rows));
      return table({
        caption: 'Transfers', rows, empty: empty('No transfers yet', 'Deposits, orders and earnings will be here.', hasRole('AUDITOR') ? null : button('Deposit', deposit, { kind: 'main' })),
        columns: [
          { label: 'What', head: true, cell: (t) => (t.order ? h('a', { href: `/orders/${t.order}` }, t.kind === 'escrow' ? 'order' : t.kind) : t.kind) },
          { label: 'State', cell: (t) => badge(t.state) },
          { label: 'Amount', numeric: true, cell: (t) => signed(amount(t)) },
          { label: 'When', cell: (t) => when(t.createdAt) },
        ],
      });
    },
  });

  /** @param {any} t */
  function amount(t) {
    let sum = 0n;
    for (const p of t.postings) if (p.account === own) sum += BigInt(p.amount);
    return sum;
  }

  /** The booked balance over the transfers shown, back from what it is now. @param {any[]} rows */
  function history_(rows) {
    const moved = rows.filter((t) => t.state === 'posted');
    if (moved.length < 2 || !now) return null;
    let at = BigInt(now.posted);
    const points = [{ x: Date.now(), y: Number(at) / 100 }];
    for (const t of moved) {
      points.push({ x: Number(t.createdAt), y: Number(at) / 100 });
      at -= amount(t);
    }
    points.push({ x: Number(moved[moved.length - 1]?.createdAt) - 1, y: Number(at) / 100 });
    points.reverse();
    const from = points[0]?.x ?? 0;
    const far = Date.now() - from > 3 * 86_400_000;
    return step({ title: 'Booked credits', desc: `${moved.length} booked transfers; now ${credits(now.posted)}.`, series: [{ label: 'Credits', points }], area: true, x: (x) => (far ? day(x) : moment(x).split(', ')[1] ?? ''), y: (y) => money(parseMoney(Math.max(0, y).toFixed(2))).replace(/\.00$/, ''), xName: 'When' });
  }

  const amounts = () => field({
    label: 'Amount', name: 'amount', inputmode: 'decimal', required: true, unit: 'credits',
    check(v) {
      try {
        return parseMoney(v) > 0n ? null : 'The amount must be above zero.';
      } catch (e) {
        return e instanceof Error ? e.message : String(e);
      }
    },
  });

  async function request(/** @type {'deposit' | 'withdrawal'} */ kind) {
    const f = amounts();
    // The same key for every attempt of this dialog: pressed twice, it is asked once.
    const key = idempotencyKey();
    const name = kind === 'deposit' ? 'requestDeposit' : 'requestWithdrawal';
    const done = await ask({
      title: kind === 'deposit' ? 'Ask for a deposit' : 'Ask for a withdrawal',
      lead: h('p', { class: 'quiet' }, kind === 'deposit' ? 'An admin books it when the money has arrived outside. It is yours to spend from then on.' : `You have ${credits(now.available)}. The amount is reserved at once and leaves when an admin has paid it out.`),
      fields: [f], submit: kind === 'deposit' ? 'Ask for the deposit' : 'Ask for the withdrawal',
      act: () => gql(`mutation($amount: Money!, $key: String!) { ${name}(amount: $amount, idempotencyKey: $key) { id } }`, { amount: parseMoney(f.value()).toString(), key }),
    });
    if (!done) return;
    toast('Asked. An admin decides.', 'good');
    await Promise.all([loadBalance(), list.reload()]);
    cash.reload();
  }
  const deposit = () => request('deposit');

  const cash = later(async () => {
    const [d, w] = await Promise.all(['deposits', 'withdrawals'].map(async (x) => (await gql(requests(x), { after: null }, { signal: ctx.signal }))[x].nodes));
    const rows = [...d, ...w].filter((r) => r.account === me?.id || r.account === own).sort((a, b) => Number(b.createdAt) - Number(a.createdAt));
    return table({
      caption: 'Deposits and withdrawals', rows, empty: empty('None yet', 'What you ask for is listed here with the admin’s decision.'),
      columns: [
        { label: 'What', head: true, cell: (r) => r.kind },
        { label: 'Decision', cell: (r) => [badge(r.decision), r.reason ? h('span', { class: 'small quiet' }, ` ${r.reason}`) : null] },
        { label: 'Amount', numeric: true, cell: (r) => credits(r.amount) },
        { label: 'Asked', cell: (r) => when(r.createdAt) },
      ],
    });
  }, 'Loading requests');

  const act = !hasRole('AUDITOR');
  if (ctx.query.has('deposit') && act) setTimeout(() => void deposit(), 0);
  return {
    title: 'Balance', crumbs: [{ label: 'Balance' }],
    node: h('div', null,
      heading('Balance', { lead: 'Whole credits and hundredths, to the last one: what leaves one account arrives in others.', actions: act ? [button('Deposit', deposit, { kind: 'main' }), button('Withdraw', () => request('withdrawal'))] : null }),
      h('div', { class: 'stack' }, balance, plot),
      me && !me.verified ? note('warn', h('p', null, 'Money moves after your mail address is confirmed. ', h('a', { href: '/verify-mail' }, 'Confirm it'), '.')) : null,
      section('Deposits and withdrawals', cash.node),
      section('Transfers', list.node, { lead: ['A price is ', tag('pending'), ' when you order, ', tag('committed'), ' when the proof holds, ', tag('posted'), ' when the result is delivered, ', tag('voided'), ' when it is refunded.'] })),
  };
}

/** @param {bigint} v */
function signed(v) {
  return `${v > 0n ? '+' : ''}${money(v)}`;
}
