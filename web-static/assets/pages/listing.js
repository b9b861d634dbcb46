// @ts-check
/** A dataset: schema, marginals of the twin, terms, who learns what. */
import { gql } from '../lib/api.js';
import { count, credits, h, percent, plural, real, when } from '../lib/dom.js';
import { COLUMN_KINDS, assurance, custodyWords, keepShape, keptShape, keyList, openersOf, policyWords, priceOf, rangeOf, seatsOf, shapeOf } from '../lib/market.js';
import { bars, meter } from '../lib/plot.js';
import { hasRole, isStaff, session } from '../lib/session.js';
import { badge, details, empty, facts, field, hash, heading, later, linkButton, note, proven, section, table, tabs } from '../lib/ui.js';
import { twinPlots } from './parts/twin.js';

const LISTING = `query($id: String!) { listing(id: $id) {
  id title description state reason dataset owner ownerName createdAt updatedAt priceOrder priceOutput policy openers
  reveals { values bits valuesLeft bitsLeft }
  tickets { rhoLimit rhoDealt epsilonDealt delta classes { digest name offered sensitivity noiseDeviation rhoPerTicket dealt spent left largestOrder } dealings { state } }
} marketplace { id feeBasisPoints srsProvenance } }`;

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const id = ctx.params['id'] ?? '';
  const data = await gql(LISTING, { id }, { signal: ctx.signal });
  const l = data.listing;
  const openers = openersOf(l.openers);
  const policy = l.policy?.body;
  const mine = session()?.id === l.owner;
  const rows = policy?.kinds.some((/** @type {string} */ k) => k.startsWith('rows_')) ?? false;
  const shape = await shapeFor(id, l.dataset, ctx.signal);
  const open = l.state === 'published';
  const ask = mine ? linkButton('Manage this listing', `/custodian/listings/${id}`, 'main')
    : !session() ? linkButton('Sign in to ask', `/signin?to=${encodeURIComponent(`/listings/${id}/query`)}`, 'main')
      : !hasRole('BUYER', 'PARTNER') ? null
        : open ? linkButton('Ask a question', `/listings/${id}/query`, 'main') : null;

  const schema = () => h('div', { class: 'stack-large' },
    section('Columns', columnTable(shape), { lead: 'Every value is held as a whole number of steps within its range. Ranges and steps are published; values are encrypted.' }),
    section('Segments', h('div', { class: 'stack' },
      shape.segments.length > 1 ? bars({ title: 'Rows in each segment', items: shape.segments.map((s) => ({ label: s.label, value: Number(s.rows) })), format: (x) => count(Math.round(x)), what: 'Rows' }) : facts(shape.segments.map((s) => [s.label, plural(s.rows, 'row')]))),
    { lead: 'Aggregates are taken over a segment as a whole, never over fewer rows.' }));

  // Drawn from the twin itself: what stands beside it is text for people.
  const twin = () => later(async () => {
    const shown = await twinPlots(id, shape, ctx.signal);
    return h('div', { class: 'stack-large' }, shown,
      h('div', { class: 'actions' },
        h('a', { class: 'button', href: `/v1/listings/${id}/objects/twin.csv`, download: `${shape.name}-twin.csv` }, 'Twin as CSV'),
        h('a', { class: 'button', href: `/v1/listings/${id}/objects/twin.json`, download: `${shape.name}-twin.json` }, 'What it was drawn from')));
  }, 'Loading the twin').node;

  const terms = () => h('div', { class: 'stack-large' },
    section('What the custodian allows', l.policy ? h('ul', null, policyWords(l.policy).map((w) => h('li', null, w))) : empty('No policy yet', 'The custodian has not signed one.')),
    l.tickets ? section('Opening tickets', ticketTable(l.tickets), { lead: 'Each value that is opened spends a ticket of noise that the custodian dealt beforehand. What was dealt is charged to the privacy budget, spent or not.' }) : null,
    l.policy ? details('Signed policy', facts([['Version', policy.policy_version], ['Valid from', when(policy.valid_from)], ['Signed by', hash(l.policy.key, 24)]]), h('pre', null, JSON.stringify(l.policy, null, 1))) : null);

  const seats = () => h('div', { class: 'stack-large' },
    table({ caption: 'Who learns what from an order', wordy: true, rows: seatsOf(openers, { rows }), columns: [{ label: 'Who', head: true, cell: (s) => s.seat }, { label: 'Learns', cell: (s) => s.learns }] }),
    openers ? section('Who opens results', h('div', { class: 'stack' }, h('p', null, `${custodyWords(openers)}.`), keyList(openers.nodes))) : null,
    proven(h('p', null, 'Evaluation is ', h('strong', null, 'proven'), ': every homomorphic step from the dataset root to the encrypted result is covered by proofs that anyone with the receipt can check.'),
      h('p', null, openers?.custody === 'committee'
        ? ['Decryption is ', h('strong', null, 'committee-attested'), ': every node of a quorum signs the same opened words, and the buyer checks every share against what the custodian committed to. A wrong result needs the custodian and one node of the quorum together.']
        : ['Decryption is ', h('strong', null, 'custodian-attested'), ': the custodian’s key node signs it. Nothing here shows that it decrypted rightly.']),
      h('p', null, 'That the data are true is assumed: nothing in any system shows it.'),
      facts([['Dataset root', hash(l.dataset, 32)], ['Marketplace', hash(data.marketplace.id, 32)], ['Reference string of private weights', data.marketplace.srsProvenance]])),
    h('p', null, h('a', { href: '/promise' }, 'What we promise and what we do not')));

  const reviews = () => later(async () => {
    const r = (await gql('query($id: String!) { listing(id: $id) { reviews { at by decision reason } } }', { id }, { signal: ctx.signal })).listing.reviews;
    return table({
      caption: 'Reviews', rows: r, empty: empty('No reviews yet', 'The history of submissions and decisions will be here.'),
      columns: [{ label: 'When', cell: (x) => when(x.at) }, { label: 'What', cell: (x) => badge(x.decision) }, { label: 'By', cell: (x) => x.by }, { label: 'Reason', cell: (x) => x.reason || '' }],
    });
  }, 'Loading reviews').node;

  const part = ['schema', 'twin', 'terms', 'seats', 'reviews'].includes(ctx.hash) ? ctx.hash : 'schema';
  return {
    title: l.title,
    crumbs: [{ label: 'Datasets', href: '/listings' }, { label: l.title }],
    node: h('div', null,
      heading(l.title, {
        above: h('p', { class: 'row small quiet' }, h('span', null, 'by ', h('strong', null, l.ownerName)), h('span', null, 'listed ', when(l.createdAt)), open ? null : badge(l.state)),
        actions: ask ? h('div', { class: 'phone-only' }, ask.cloneNode(true)) : null,
      }),
      !open && l.state !== 'draft' && !mine ? note('warn', h('p', null, `This listing is ${l.state} and takes no orders now.`)) : null,
      l.reason && (mine || isStaff()) ? note('bad', h('p', null, h('strong', null, 'Sent back: '), l.reason)) : null,
      h('div', { class: 'aside' },
        h('div', { class: 'stack-large' },
          h('div', { class: 'prose' }, String(l.description).split(/\n{2,}/).map((p) => h('p', null, p))),
          tabs([
            { key: 'schema', label: 'Schema', body: schema },
            { key: 'twin', label: 'Synthetic twin', body: twin },
            { key: 'terms', label: 'Terms', body: terms },
            { key: 'seats', label: 'Who learns what', body: seats },
            ...(mine || isStaff() ? [{ key: 'reviews', label: 'Reviews', body: reviews }] : []),
          ], part, (key) => history.replaceState(history.state, '', key === 'schema' ? location.pathname + location.search : `#${key}`), 'Parts of the listing').node),
        h('aside', { class: 'card sticky', 'aria-label': 'Price and terms' },
          l.priceOrder ? priceCard(l) : h('p', { class: 'quiet' }, 'No price yet.'),
          ask,
          h('hr'),
          facts([
            ['Rows', count(shape.rows)], ['Columns', columnsOf(shape).length], ['Segments', shape.segments.length],
            policy ? ['Smallest cohort', plural(policy.min_cohort, 'row')] : null,
            ['Opened by', custodyWords(openers)],
          ]),
          l.reveals ? meter({ title: 'Values revealed', caption: true, parts: [{ label: 'Revealed', value: Number(l.reveals.values), text: count(l.reveals.values) }], whole: Number(l.reveals.values) + Number(l.reveals.valuesLeft), rest: 'Left', format: (x) => count(Math.round(x)) }) : null,
          assurance(openers, policy?.min_class)))),
  };
}

/** @param {any} l */
function priceCard(l) {
  const out = h('p', { 'aria-live': 'polite' });
  const n = field({ label: 'for so many values', name: 'values', type: 'number', min: 1, max: 262144, value: '1', oninput: () => show() });
  function show() {
    const v = /^\d+$/.test(n.value()) && Number(n.value()) > 0 ? n.value() : '1';
    out.replaceChildren(h('span', { class: 'amount' }, credits(priceOf(l.priceOrder, l.priceOutput, v))));
  }
  show();
  return h('div', { class: 'stack' }, out, n.node, h('p', { class: 'small quiet' }, `${credits(l.priceOrder)} an order and ${credits(l.priceOutput)} for each value opened. A mean of one column over one segment is one value.`));
}

/**
 * Those of the table, without squares and products.
 * @param {import('../lib/market.js').Shape} shape
 */
function columnsOf(shape) {
  return shape.columns.filter((c) => c.kind === 'numeric' || c.kind === 'category');
}

/** @param {import('../lib/market.js').Shape} shape */
function columnTable(shape) {
  const base = columnsOf(shape);
  const moments = shape.columns.filter((c) => c.kind === 'square' || c.kind === 'product');
  /** @param {import('../lib/market.js').Column[]} rows @param {string} caption */
  const show = (rows, caption) => table({
    caption, rows, dense: true, columns: [
      { label: 'Column', head: true, cell: (c) => h('span', { class: 'mono' }, c.name) },
      { label: 'Kind', cell: (c) => COLUMN_KINDS[c.kind] ?? c.kind },
      { label: 'Range', cell: rangeOf, numeric: true },
      { label: 'Step', cell: (c) => real(c.step, 3), numeric: true },
      { label: 'Variance', cell: (c) => (moments.some((m) => m.kind === 'square' && m.of[0] === c.name) ? 'yes' : '') },
    ],
  });
  return h('div', { class: 'stack' }, show(base, 'Columns'),
    shape.keys.length ? h('p', { class: 'small quiet' }, 'Public, the same for all rows of a segment: ', h('span', { class: 'mono' }, shape.keys.join(', ')), '.') : null,
    moments.length ? details(`${plural(moments.length, 'square or product', 'squares and products')}, for variances and regressions`, show(moments, 'Squares and products')) : null);
}

/** @param {any} t */
function ticketTable(t) {
  const states = t.dealings.filter((/** @type {any} */ d) => d.state === 'accepted').length;
  return h('div', { class: 'stack' },
    table({
      caption: 'Classes of tickets', rows: t.classes.filter((/** @type {any} */ c) => c.offered),
      empty: note('warn', h('p', null, 'No class of tickets is offered: nothing can be opened now.')),
      columns: [
        { label: 'Class', head: true, cell: (/** @type {any} */ c) => c.name },
        { label: 'Noise (deviation, steps)', name: 'Noise', numeric: true, cell: (/** @type {any} */ c) => (c.noiseDeviation > 0 ? real(c.noiseDeviation, 4) : 'none') },
        { label: 'One row moves it by', name: 'Sensitivity', numeric: true, cell: (/** @type {any} */ c) => count(c.sensitivity) },
        { label: 'Left of dealt', name: 'Left', numeric: true, cell: (/** @type {any} */ c) => `${count(c.left)} of ${count(c.dealt)}` },
        { label: 'Largest order', numeric: true, cell: (/** @type {any} */ c) => plural(c.largestOrder, 'value') },
      ],
    }),
    t.rhoLimit > 0 ? meter({ title: t.epsilonDealt === null ? 'Privacy budget' : `Privacy budget (ε ${real(t.epsilonDealt, 3)} at δ ${real(t.delta, 2)} dealt so far)`, parts: [{ label: 'Dealt', value: t.rhoDealt, text: `${real(t.rhoDealt, 3)} zCDP` }], whole: t.rhoLimit, rest: 'Left', format: (x) => `${real(x, 3)} zCDP (${percent(t.rhoLimit ? x / t.rhoLimit : 0)})` }) : h('p', { class: 'small quiet' }, 'Without noise no privacy budget is counted: quotas, cohorts and suppression are all that protects a person.'),
    h('p', { class: 'small quiet' }, `${plural(states, 'dealing')} of ${t.dealings.length} accepted by its quorum.`));
}

/**
 * @param {string} id
 * @param {string} dataset
 * @param {AbortSignal} signal
 * @returns {Promise<import('../lib/market.js').Shape>}
 */
async function shapeFor(id, dataset, signal) {
  const kept = keptShape(dataset);
  if (kept) return kept;
  const data = await gql('query($id: String!) { listing(id: $id) { manifest } }', { id }, { signal });
  const shape = shapeOf(data.listing.manifest);
  keepShape(dataset, shape);
  return shape;
}
