// @ts-check
/** One's orders, newest first. */
import { gql } from '../lib/api.js';
import { count, credits, h, put, when } from '../lib/dom.js';
import { hasRole, isStaff } from '../lib/session.js';
import { badge, button, empty, field, heading, linkButton, pages, section, table, toast } from '../lib/ui.js';
import { unlocked } from '../lib/vault.js';

const ORDERS = `query($after: String, $state: String) { orders(first: 25, after: $after, state: $state) {
  nodes { id state refundReason listing listingTitle price { total } values placedAt progress { stage perMille } } pageInfo { hasNextPage endCursor } } }`;
const STATES = ['funded', 'leased', 'evaluated', 'verified', 'opening', 'released', 'refunded'];

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const state = field({
    label: 'State', name: 'state', type: 'select', value: ctx.query.get('state') ?? '', onchange: () => {
      history.replaceState(history.state, '', state.value() ? `?state=${state.value()}` : location.pathname);
      void list.reload();
    },
    options: [{ value: '', label: 'All' }, ...STATES.map((s) => ({ value: s, label: s }))],
  });
  const list = pages({
    what: 'Loading orders',
    async fetch(after) {
      return (await gql(ORDERS, { after, state: state.value() || null }, { signal: ctx.signal })).orders;
    },
    show: (/** @type {any[]} */ rows) => table({
      caption: 'Orders', rows,
      empty: empty(state.value() ? 'No order in this state' : 'No orders yet', hasRole('BUYER', 'PARTNER') ? 'Choose a dataset, try a question on its synthetic twin, and order it.' : 'Orders on your datasets and pods will be here.', linkButton('Look at the datasets', '/listings', 'main')),
      columns: [
        { label: 'Dataset', head: true, cell: (o) => h('a', { href: `/orders/${o.id}` }, o.listingTitle) },
        { label: 'State', cell: (o) => [badge(o.state), o.state === 'leased' && o.progress ? h('span', { class: 'small quiet' }, ` ${o.progress.stage}, ${Math.floor(o.progress.perMille / 10)} %`) : null, o.refundReason ? h('span', { class: 'small quiet' }, ` ${o.refundReason}`) : null] },
        { label: 'Values', numeric: true, cell: (o) => count(o.values) },
        { label: 'Price', numeric: true, cell: (o) => credits(o.price.total) },
        { label: 'Placed', cell: (o) => when(o.placedAt) },
      ],
    }),
  });
  return {
    title: 'Orders', crumbs: [{ label: 'Orders' }],
    node: h('div', null, heading('Orders', { lead: isStaff() ? 'All orders of the marketplace.' : 'Each ends in exactly one of released or refunded.', actions: hasRole('BUYER', 'PARTNER') ? linkButton('Ask a question', '/listings', 'main') : null }),
      h('div', { class: 'stack' }, h('div', { class: 'inline-fields' }, state.node), list.node),
      hasRole('BUYER', 'PARTNER') ? vaultOrders(ctx) : null),
  };
}

/**
 * What the vault of this browser can open, and what was signed and perhaps
 * never placed.
 * @param {import('../lib/router.js').Context} ctx
 */
function vaultOrders(ctx) {
  const box = h('div', { class: 'stack' }, h('p', { class: 'quiet' }, 'Results open with keys in this browser’s vault. Was the connection lost while you ordered? A signed order can be placed again from here: it is charged once, however often it is sent.'), button('Look into the vault', look));
  async function look() {
    const c = await unlocked('To see which orders it opens.');
    if (!c) return;
    const all = await c.orders();
    put(box, table({
      caption: 'Orders in this vault', rows: all, empty: empty('No orders in this vault', 'Orders that are placed in this browser are kept in it.'),
      columns: [
        { label: 'Dataset', head: true, cell: (o) => (o.id ? h('a', { href: `/orders/${o.id}` }, o.name) : o.name) },
        { label: 'Question', cell: (o) => o.kind },
        { label: 'Price', numeric: true, cell: (o) => credits(o.price) },
        { label: 'Signed', cell: (o) => when(o.created) },
        {
          label: 'State', cell: (o) => (o.id ? o.opened ? badge('delivered', 'opened') : badge('active', 'placed') : [badge('waiting', 'not known to be placed'), ' ', button('Place it', async () => {
            const placed = await c.placeAgain(o.digest);
            toast('Placed.', 'good');
            ctx.go(`/orders/${placed.id}`);
          })]),
        },
      ],
    }));
  }
  return section('In this browser’s vault', box);
}
