// @ts-check
/** An order: where it stands, live; its result, opened here; its receipt. */
import { download, gql, save, subscribe } from '../lib/api.js';
import { ago, count, credits, h, moment, plural, put, span, when } from '../lib/dom.js';
import { ORDER_STEPS, REFUND_REASONS, isOver, openersOf, priceSplit } from '../lib/market.js';
import { reportView } from '../lib/report.js';
import { coefficientTable, valuesView } from '../lib/results.js';
import { hasRole, isStaff, session } from '../lib/session.js';
import { announce, badge, button, copyButton, details, facts, failure, field, form, hash, heading, linkButton, note, problem, progress, proven, section } from '../lib/ui.js';
import { backUp, backupReminder, core, coreProblem, coreProgress, unlocked } from '../lib/vault.js';

const ORDER = `query($id: String!) { order(id: $id) { id state refundReason refundDetail listing listingTitle digest
  price { total fee pod custodian } values placedAt deadline progress { stage perMille } grant grants deliveries joint receiptReady } }`;
const FOLLOW = 'subscription($id: String!) { orderProgress(id: $id) { state stage perMille } }';
/** How often the state is asked for where the live connection fails. */
const POLL = 3_000;

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const id = ctx.params['id'] ?? '';
  let order = (await gql(ORDER, { id }, { signal: ctx.signal })).order;
  const marketplace = (await gql('{ marketplace { id } }', {}, { signal: ctx.signal })).marketplace.id;
  // A withdrawn one is nobody's to look at but its owner's; its title stays with the order.
  const listing = await gql('query($id: String!) { listing(id: $id) { owner ownerName openers policy } }', { id: order.listing }, { signal: ctx.signal, quiet: true })
    .then((d) => d.listing, () => null);
  const mine = hasRole('BUYER', 'PARTNER') && listing?.owner !== session()?.id && !isStaff();
  const threshold = openersOf(listing?.openers)?.threshold ?? null;

  // Where it stands

  const state = h('span');
  const timeline = h('div');
  const result = h('div');
  const receipt = h('div');
  const bar = progress('Pod');
  /** @type {string | null} */
  let drawn = null;
  function draw() {
    put(state, badge(order.state));
    bar.node.hidden = order.state !== 'leased';
    if (order.progress) bar.set(order.progress.perMille / 1000, `${order.progress.stage}, ${Math.floor(order.progress.perMille / 10)} %`);
    else bar.set(null, 'waiting for the pod');
    put(timeline, steps(order, threshold, bar.node));
    if (drawn === order.state) return;
    if (drawn !== null) announce(`The order is ${order.state}.`);
    drawn = order.state;
    put(result, resultPart());
    put(receipt, order.state === 'released' ? section('Receipt', receiptPart()) : null);
  }

  // Live, with asking again where that fails

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {() => void} */
  let stop = () => {};
  let left = false;
  async function refresh() {
    try {
      order = (await gql(ORDER, { id }, { signal: ctx.signal, quiet: true })).order;
      if (!left) draw();
    } catch {
      // The next time, or the page's own reload, says what is wrong.
    }
  }
  function poll() {
    clearTimeout(timer);
    if (left || isOver(order.state)) return;
    timer = setTimeout(async () => {
      await refresh();
      poll();
    }, POLL);
  }
  function follow() {
    if (isOver(order.state)) return;
    stop = subscribe(FOLLOW, { id }, {
      next(data) {
        if (left) return;
        const p = data.orderProgress;
        const changed = p.state !== order.state;
        order = { ...order, state: p.state, progress: { stage: p.stage, perMille: p.perMille } };
        if (changed) void refresh();
        else draw();
      },
      error: poll,
      complete() {
        void refresh().then(poll);
      },
    });
  }

  // The result

  function resultPart() {
    if (order.state === 'refunded') return refundNote(order);
    if (!mine) return null;
    if (order.state !== 'released') {
      return section('Result', h('p', { class: 'quiet' }, 'It will be opened here, in your browser, when the key nodes have delivered. You may close this page: nothing is lost.'));
    }
    /** @type {HTMLElement} */
    const box = h('div', { class: 'stack' }, h('p', null, 'The result is sealed to a key in your vault. Opening it here checks the receipt first and shows nothing that the proof does not cover.'),
      button('Open the result', () => open(box), { kind: 'main' }));
    return section('Result', box);
  }

  /** @param {HTMLElement} box */
  async function open(box) {
    const c = await unlocked('The key that opens this result is in your vault.');
    if (!c) return;
    const p = coreProgress('Fetching, checking, opening');
    const before = [...box.childNodes];
    put(box, p.node);
    try {
      /** @type {import('../core/core.js').Opened & {trainingRefusal?: string}} */
      const o = await c.open(id, { onProgress: p.on });
      const base = `order-${id.slice(0, 8)}`;
      put(box,
        await backupReminder(c),
        o.training
          ? [coefficientTable(o.training), solveAgain(c, id, o.training), details('The sums that it rests on', valuesView(o.outputs, o.variances))]
          : valuesView(o.outputs, o.variances),
        o.trainingRefusal ? note('warn', h('p', null, `The regression has no solution: ${o.trainingRefusal} The sums above are yours; take fewer columns, or a penalty.`)) : null,
        h('div', { class: 'actions' },
          button('Values as CSV', () => save(new Blob([o.csv], { type: 'text/csv' }), `${base}.csv`)),
          button('Everything as JSON', () => save(new Blob([o.json], { type: 'application/json' }), `${base}.json`)),
          o.training ? button('Model as JSON', () => save(new Blob([JSON.stringify(o.training?.model, null, 1)], { type: 'application/json' }), 'model.json')) : null,
          button('Back up the vault', () => backUp(c))),
        proven(reportView(o.report)));
      announce('The result is open.');
    } catch (e) {
      put(box, note('bad', h('p', null, coreProblem(e) ?? problem(e))), ...before);
    }
  }

  // The receipt

  function receiptPart() {
    const verdict = h('div', { 'aria-live': 'polite' });
    const fetchReceipt = () => download(`/v1/orders/${id}/receipt`, { signal: ctx.signal });
    return h('div', { class: 'stack' },
      h('article', { class: 'paper', 'aria-label': 'Receipt' },
        h('div', { class: 'row spread' }, h('strong', null, 'Veilbourse'), badge('released', 'paid')),
        h('div', null, h('p', { class: 'quiet small' }, 'Amount paid'), h('p', { class: 'amount' }, credits(order.price.total))),
        facts([
          ['Order', h('span', { class: 'mono small break' }, order.id)],
          ['Placed', moment(order.placedAt)],
          ['For', `${plural(order.values, 'value')} of ${order.listingTitle}`],
          listing ? ['Custodian', listing.ownerName] : null,
        ]),
        h('hr'), priceSplit(order.price), h('hr'),
        facts([['Evaluation', listing?.policy?.body.min_class ?? 'see the receipt file'], ['Decryption', order.grant?.body.opener.custody === 'committee' ? 'committee-attested' : order.grant ? 'custodian-attested' : 'see the receipt file'], ['Signed order', hash(order.digest, 32)]]),
        h('p', { class: 'small quiet' }, 'This page is for people. What proves it is the receipt file: it verifies offline, without this marketplace, and holds no result and no private weight.')),
      h('div', { class: 'actions' },
        order.receiptReady && (mine || isStaff()) ? [
          button('Download the receipt file', async () => save(await fetchReceipt(), `receipt-${id.slice(0, 8)}.json`), { kind: 'main' }),
          button('Verify it here', async () => {
            const p = coreProgress('Verifying every proof');
            put(verdict, p.node);
            try {
              const file = await fetchReceipt();
              const c = await core();
              put(verdict, reportView(await c.verifyReceipt(file, { marketplace }, { onProgress: p.on })));
            } catch (e) {
              put(verdict, failure(new Error(coreProblem(e) ?? problem(e))));
            }
          }),
        ] : null,
        button('Print', () => print())),
      verdict);
  }

  draw();
  follow();
  return {
    title: `Order on ${order.listingTitle}`,
    crumbs: [{ label: 'Orders', href: '/orders' }, { label: id.slice(0, 8) }],
    node: h('div', null,
      heading(['Order on ', listing ? h('a', { href: `/listings/${order.listing}` }, order.listingTitle) : order.listingTitle], { above: h('p', { class: 'row small quiet' }, state, h('span', null, 'placed ', when(order.placedAt))) }),
      h('div', { class: 'aside' },
        h('div', { class: 'stack-large' },
          h('div', { class: 'no-print' }, result), receipt),
        h('aside', { class: `stack no-print${isOver(order.state) ? '' : ' first-on-phone'}`, 'aria-label': 'Progress' },
          h('div', { class: 'card' }, h('h2', null, 'Progress'), timeline),
          h('div', { class: 'card' }, facts([
            ['Price', credits(order.price.total)],
            ['Values', count(order.values)],
            ['Deadline', `${moment(order.deadline)}${isOver(order.state) ? '' : ` (${ago(order.deadline)})`}`],
            order.joint.length ? ['Joint order of', plural(order.joint.length, 'listing')] : null,
          ]),
          details('Ids', facts([['Order', [h('span', { class: 'mono small break' }, order.id), copyButton(order.id)]], ['Signed order', hash(order.digest, 24)]])))))),
    leave() {
      left = true;
      clearTimeout(timer);
      stop();
    },
  };
}

/**
 * @param {any} order
 * @param {number | null} threshold
 * @param {Node} bar
 */
function steps(order, threshold, bar) {
  const at = ORDER_STEPS.findIndex((s) => s.state === order.state);
  if (order.state === 'refunded') {
    return h('ol', { class: 'timeline' },
      h('li', { class: 'done' }, h('strong', null, ORDER_STEPS[0]?.title), h('p', { class: 'small quiet' }, moment(order.placedAt))),
      h('li', { class: 'bad' }, h('strong', null, 'Refunded in full'), h('p', { class: 'small' }, REFUND_REASONS[order.refundReason] ?? '')));
  }
  return h('ol', { class: 'timeline' }, ORDER_STEPS.map((s, i) => {
    const done = i < at || order.state === 'released';
    const now = i === at && order.state !== 'released';
    return h('li', { class: done ? 'done' : now ? 'now' : 'todo', ...(now ? { 'aria-current': 'step' } : {}) },
      h('strong', null, s.title), done ? h('span', { class: 'hidden' }, ' (done)') : null,
      now ? h('p', { class: 'small quiet' }, s.text) : null,
      now && s.state === 'leased' ? bar : null,
      now && s.state === 'opening' ? h('p', { class: 'small quiet' }, `${order.deliveries}${threshold ? ` of ${threshold}` : ''} delivered${order.grants > 1 ? `; this is quorum ${order.grants}` : ''}.`) : null,
      i === 0 && !now ? h('p', { class: 'small quiet' }, moment(order.placedAt)) : null);
  }));
}

/** @param {any} order */
function refundNote(order) {
  return note('warn', h('p', { class: 'strong' }, `Refunded: ${credits(order.price.total)} are yours again.`),
    h('p', null, REFUND_REASONS[order.refundReason] ?? ''),
    order.refundDetail ? h('p', { class: 'small' }, 'In detail: ', order.refundDetail) : null,
    h('p', { class: 'small quiet' }, `It had ${span((Number(order.deadline) - Number(order.placedAt)) / 1000)} in all.`),
    h('div', { class: 'actions' }, hasRole('BUYER', 'PARTNER') ? linkButton('Ask again', `/listings/${order.listing}/query`, 'main') : null, linkButton('Balance', '/balance')));
}

/**
 * Another regression on the sums that were bought: nothing is paid.
 * @param {import('../core/core.js').Core} c
 * @param {string} id
 * @param {import('../core/core.js').Training} first
 */
function solveAgain(c, id, first) {
  const out = h('div', { 'aria-live': 'polite' });
  const boxes = first.model.columns.map((n) => field({ label: n, name: n, type: 'checkbox', checked: true }));
  const lambda = field({ label: 'Ridge penalty λ', name: 'lambda', inputmode: 'decimal', optional: true, hint: 'Empty: ordinary least squares.', check: (v) => (Number(v.replace(',', '.')) > 0 ? null : `“${v}” is no positive number.`) });
  const f = form({
    fields: [...boxes, lambda], submit: 'Solve', body: h('div', { class: 'stack' }, h('div', { class: 'columns-list' }, boxes.map((b) => b.node)), lambda.node),
    async onsubmit() {
      const features = first.model.columns.filter((_, i) => boxes[i]?.checked());
      if (features.length === 0) throw new Error('Choose at least one column.');
      const l = lambda.value();
      const again = await c.train(id, { features, method: l ? { kind: 'ridge', lambda: Number(l.replace(',', '.')) } : { kind: 'ols' } });
      put(out, coefficientTable(again), button('Model as JSON', () => save(new Blob([JSON.stringify(again.model, null, 1)], { type: 'application/json' }), 'model.json')));
    },
  });
  return details('Solve again with other columns or a penalty: nothing is bought', f.node, out);
}
