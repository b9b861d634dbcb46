// @ts-check
/** One listing, as its owner sees it: state, review, queries, tickets, policy. */
import { gql } from '../../lib/api.js';
import { count, credits, h, plural, put, when, words } from '../../lib/dom.js';
import { ask, badge, button, confirm, empty, facts, field, figure, figures, hash, heading, linkButton, note, pages, section, table, tabs, toast } from '../../lib/ui.js';
import { frozen, shapeWords } from '../parts/figures.js';
import { policyWords } from '../parts/policy.js';
import { quotaMeter, ticketMeters } from '../parts/reveals.js';
import { timeline } from '../parts/reviews.js';
import { twinPlots } from '../parts/twin.js';
import { dealMore, editPolicy } from './terms-change.js';

const LISTING = `query OwnListing($id: String!) { listing(id: $id) {
  id title description state reason dataset createdAt updatedAt policy
  priceOrder priceOutput reveals { values bits valuesLeft bitsLeft }
  reviews { at by decision reason } objects { name length offset digest } } }`;
const TICKETS = `query OwnTickets($id: String!) { listing(id: $id) { tickets { rhoLimit rhoDealt epsilonDealt delta
  classes { digest name offered law noiseDeviation sensitivity rhoPerTicket dealt spent left largestOrder }
  dealings { digest quorum epoch class first count next state answers { node state code reason } } } } }`;
const MANIFEST = 'query OwnManifest($id: String!) { listing(id: $id) { manifest } }';
const ORDERS = `query OwnOrders($id: String!, $after: String) { listingOrders(id: $id, first: 15, after: $after) {
  nodes { id state refundReason values program placedAt price { total custodian } digest } pageInfo { hasNextPage endCursor } } }`;

/** What an owner may do in each state. @type {Record<string, ('pause' | 'resume' | 'withdraw')[]>} */
const STEPS = { published: ['pause', 'withdraw'], paused: ['resume', 'withdraw'], submitted: ['withdraw'], rejected: ['withdraw'], draft: ['withdraw'] };
const STEP = {
  pause: { act: 'mutation Pause($id: String!) { done: pauseListing(id: $id) { state } }', label: 'Pause', title: 'Take no new orders?', body: 'Orders under way are finished and paid. You can resume at any time.', danger: false },
  resume: { act: 'mutation Resume($id: String!) { done: resumeListing(id: $id) { state } }', label: 'Resume', title: 'Take orders again?', body: 'The listing is in the catalogue and may be bought from at once.', danger: false },
  withdraw: { act: 'mutation Withdraw($id: String!) { done: withdrawListing(id: $id) { state } }', label: 'Withdraw', title: 'Take it out for good?', body: 'A withdrawn listing never comes back. Orders under way are finished and paid; what was revealed stays revealed.', danger: true },
};

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const id = ctx.params.id ?? '';
  const account = ctx.account;
  const { listing: l } = await gql(LISTING, { id }, { signal: ctx.signal });
  const tickets = l.policy ? (await gql(TICKETS, { id }, { signal: ctx.signal })).listing.tickets : null;

  /** @param {keyof typeof STEP} step */
  const take = (step) => button(STEP[step].label, async () => {
    const o = STEP[step];
    if (!await confirm({ title: o.title, body: h('p', null, o.body), yes: o.label, danger: o.danger, ...(step === 'withdraw' ? { type: l.title } : {}) })) return;
    const { done } = await gql(o.act, { id });
    toast(`The listing is ${words(done.state)}.`, 'good');
    ctx.refresh();
  }, { kind: STEP[step].danger ? 'danger' : '' });

  const appeal = l.state === 'rejected'
    ? button('Appeal', async () => {
      const text = field({ label: 'Why it should be published', name: 'text', type: 'textarea', required: true, maxlength: 2000, rows: 6, hint: 'The admin reads it beside the reason above. At most 2,000 characters.' });
      const done = await ask({
        title: 'Appeal against the rejection', fields: [text], submit: 'Send the appeal',
        act: () => gql('mutation($id: String!, $text: String!) { appealListing(id: $id, text: $text) { state } }', { id, text: text.value() }),
      });
      if (!done) return;
      toast('The appeal is with the admins: the listing waits for review again.', 'good');
      ctx.refresh();
    }, { kind: 'main' })
    : null;

  const resume = l.state === 'draft'
    ? note('warn', h('p', null, 'This listing is not finished: its upload goes on in the browser in which it was encrypted.'), linkButton('Go on with it', `/custodian/new?listing=${id}`, 'main'))
    : null;
  const missing = (l.objects ?? []).filter((/** @type {any} */ o) => o.offset !== o.length).length;

  const overview = () => h('div', { class: 'stack' },
    h('div', { class: 'two' },
      quotaMeter(l.reveals, l.policy),
      ticketMeters(tickets)),
    tickets ? dealingsTable(tickets) : null,
    tickets && (l.state === 'published' || l.state === 'paused')
      ? h('div', { class: 'actions' }, button('Deal more tickets', async () => {
        if (account && await dealMore({ account, listing: l, tickets })) ctx.refresh();
      }), frozen(tickets).length > 0 ? button(`Deal anew to ${plural(frozen(tickets).length, 'frozen quorum')}`, async () => {
        if (account && await dealMore({ account, listing: l, tickets, anew: frozen(tickets) })) ctx.refresh();
      }) : null)
      : null);
  const queries = () => pages({
    what: 'Queries made',
    fetch: async (after) => (await gql(ORDERS, { id, after }, { signal: ctx.signal })).listingOrders,
    show: (/** @type {any[]} */ rows) => table({
      caption: 'Queries made on this listing', rows,
      empty: empty('No query yet', l.state === 'published' ? 'The listing is in the catalogue; buyers try their queries on its twin first.' : 'Queries come once the listing is published.'),
      columns: [
        { label: 'Placed', head: true, cell: (o) => when(o.placedAt) },
        { label: 'Asked', cell: (o) => asked(o.program) },
        { label: 'State', cell: (o) => [badge(o.state), o.refundReason ? h('span', { class: 'small quiet' }, ` ${words(o.refundReason)}`) : null] },
        { label: 'Values', numeric: true, cell: (o) => count(o.values) },
        { label: 'Your part', numeric: true, cell: (o) => (o.state === 'refunded' ? '–' : credits(o.price.custodian)) },
        { label: 'Order', cell: (o) => hash(o.digest, 8) },
      ],
    }),
  }).node;
  const policy = () => h('div', { class: 'stack' }, policyWords(l.policy),
    ['published', 'paused', 'rejected', 'submitted'].includes(l.state) && account
      ? h('div', { class: 'actions' }, button('Change price or policy', async () => {
        if (await editPolicy({ account, listing: l, tickets })) ctx.refresh();
      }))
      : null);
  const preview = () => {
    const box = h('div', null, h('p', { class: 'quiet' }, 'Loading the twin…'));
    gql(MANIFEST, { id }, { signal: ctx.signal })
      .then((m) => twinPlots(id, m.listing.manifest, ctx.signal))
      .then((n) => put(box, n), (e) => put(box, note('bad', e instanceof Error ? e.message : String(e))));
    return box;
  };

  return {
    title: l.title,
    crumbs: [{ label: 'Custodian', href: '/custodian' }, { label: l.title }],
    node: h('div', { class: 'stack-large' },
      heading(l.title, {
        above: badge(l.state), lead: l.description,
        actions: [appeal, l.state === 'published' ? linkButton('As buyers see it', `/listings/${id}`) : null, (STEPS[l.state] ?? []).map(take)],
      }),
      l.state === 'rejected' && l.reason ? note('bad', h('p', null, h('strong', null, 'Rejected: '), l.reason), h('p', { class: 'small' }, 'Sign a changed policy below and it is handed in again, or appeal.')) : null,
      l.state === 'submitted' ? note('warn', 'An admin looks at it next. You get a letter when it is decided.') : null,
      resume,
      figures(
        figure('Price', l.priceOrder ? credits(l.priceOrder) : '–', l.priceOutput ? `and ${credits(l.priceOutput)} a value` : null),
        figure('Values revealed', count(l.reveals?.values ?? '0'), l.reveals ? `${count(l.reveals.valuesLeft)} left` : null),
        figure('Listed', when(l.createdAt, { relative: true }), ['changed ', when(l.updatedAt, { relative: true })])),
      tabs([
        { key: 'overview', label: 'Budget and tickets', body: overview },
        { key: 'queries', label: 'Queries', body: queries },
        { key: 'policy', label: 'Policy', body: policy },
        { key: 'review', label: 'Review', body: () => timeline(l.reviews) },
        { key: 'twin', label: 'Synthetic twin', body: preview },
      ], ctx.query.get('tab') ?? 'overview', undefined, 'Parts of the listing').node,
      section('Data', facts([
        ['Dataset root', hash(l.dataset, 24)],
        ['Uploaded', missing === 0 ? `${plural((l.objects ?? []).length, 'object')}, all verified` : `${plural(missing, 'object')} not complete yet`],
      ]))),
  };
}

/** @param {any} program */
function asked(program) {
  if (!program) return '';
  const s = shapeWords(program);
  return h('div', null, s.what, h('p', { class: 'small quiet' }, `${s.over}, ${s.weights}`));
}

/** @param {any} tickets */
function dealingsTable(tickets) {
  const name = new Map(tickets.classes.map((/** @type {any} */ c) => [c.digest, c.name]));
  return table({
    caption: 'Dealings of tickets to quorums of the committee', hideCaption: false, dense: true, rows: tickets.dealings,
    empty: empty('No tickets are dealt', 'Nothing can be opened before a quorum has accepted some.'),
    columns: [
      { label: 'Nodes', head: true, cell: (d) => d.quorum.join(' + ') },
      { label: 'Class', cell: (d) => String(name.get(d.class) ?? '') },
      { label: 'State', cell: (d) => [badge(d.state), d.answers.filter((/** @type {any} */ a) => a.state === 'refused').map((/** @type {any} */ a) => h('p', { class: 'small quiet' }, `node ${a.node}: ${a.code} ${a.reason}`))] },
      { label: 'Spent', numeric: true, cell: (d) => count(BigInt(d.next) - BigInt(d.first)) },
      { label: 'Tickets', numeric: true, cell: (d) => count(d.count) },
      { label: 'Dealing', cell: (d) => hash(d.digest, 8) },
    ],
  });
}
