// @ts-check
/**
 * A question: statistics, a model, or a regression; tried on the synthetic
 * twin and quoted as it is written, then ordered.
 */
import { gql } from '../lib/api.js';
import { bytes, count, credits, h, money, moment, parseMoney, percent, pieces, plural, put, real, span } from '../lib/dom.js';
import { QUERY_KINDS, openersOf, priceSplit } from '../lib/market.js';
import { bars } from '../lib/plot.js';
import { coefficientTable, valuesView } from '../lib/results.js';
import { session } from '../lib/session.js';
import { announce, button, details, dialog, drop, empty, facts, field, form, heading, linkButton, loading, note, section, table, tabs, toast } from '../lib/ui.js';
import { core, coreProblem, coreProgress, lacking, registeredKey, unlocked } from '../lib/vault.js';

/** @typedef {import('../core/core.js').QueryAsk} QueryAsk */
/** @typedef {import('../core/core.js').Fitted} Fitted */
/** @typedef {import('../core/core.js').Offer} Offer */
/** @typedef {import('../core/core.js').ListingColumns} Listed */
/** @typedef {import('../core/core.js').LinearModel} LinearModel */

/**
 * One way of asking: its fields, and what they say; throws in words.
 * @typedef {{node: HTMLElement, ask: () => QueryAsk}} Builder
 */

const LISTING = `query($id: String!) { listing(id: $id) { id title state owner policy openers priceOrder priceOutput
  tickets { classes { digest name offered noiseDeviation left largestOrder } } reveals { valuesLeft bitsLeft } } }`;
/** Most bytes of a model file. */
const MODEL_BYTES = 1 << 20;

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const id = ctx.params['id'] ?? '';
  const [data, missing] = await Promise.all([gql(LISTING, { id }, { signal: ctx.signal }), lacking()]);
  const l = data.listing;
  const crumbs = [{ label: 'Datasets', href: '/listings' }, { label: l.title, href: `/listings/${id}` }, { label: 'Ask' }];
  if (missing) return { title: 'Ask', crumbs, node: note('bad', h('p', null, `This browser lacks what the cryptography here needs: ${missing.join(', ')}. Use a current browser, or the command line.`)) };
  if (!l.policy || l.state !== 'published') return { title: 'Ask', crumbs, node: empty('This dataset takes no questions now', `It is ${l.state}.`, linkButton('Other datasets', '/listings')) };
  const c = await core();
  const listed = await c.listing(id);
  const policy = l.policy.body;
  const openers = openersOf(l.openers);

  // What is asked

  const builders = {
    statistics: statistics(listed),
    model: model(listed, policy.kinds),
    train: training(listed),
  };
  /** @type {keyof typeof builders} */
  let kind = 'statistics';
  /** The quote shown, as long as it is for the question shown. @type {{offer: Offer, fitted: Fitted, ask: QueryAsk} | null} */
  let offered = null;
  const wish = wishes(l, openers);
  const kinds = tabs([
    { key: 'statistics', label: 'Statistics', body: () => builders.statistics.node },
    { key: 'model', label: 'A model', body: () => builders.model.node },
    { key: 'train', label: 'A regression', body: () => builders.train.node },
  ], ctx.query.get('kind') ?? 'statistics', (key) => {
    kind = /** @type {keyof typeof builders} */ (key);
    stale();
  }, 'Kind of question');

  // What it gives

  const twin = h('div', { 'aria-live': 'polite' }, h('p', { class: 'quiet' }, 'The same question on synthetic rows, in your browser and free: to see its shape and what rounding costs. The values say nothing of the real data.'));
  const quote = h('div', { 'aria-live': 'polite' }, h('p', { class: 'quiet' }, 'Exact price, precision and who learns what. It holds for a quarter of an hour and costs nothing.'));
  let turn = 0;

  async function tryIt() {
    turn += 1;
    const mine = turn;
    offered = null;
    put(wrong);
    /** @type {Fitted} */
    let fitted;
    /** @type {QueryAsk} */
    let ask;
    try {
      ask = builders[kind].ask();
      fitted = await c.fit(id, ask);
    } catch (e) {
      put(wrong, note('bad', h('p', null, coreProblem(e) ?? said(e))));
      wrong.scrollIntoView({ block: 'nearest' });
      return;
    }
    if (mine !== turn) return;
    const bar = coreProgress('Trying it on the twin');
    put(twin, bar.node);
    put(quote, loading('Asking for a quote', 4));
    const trial = c.runOnTwin(fitted.fit, { onProgress: bar.on }).then((run) => {
      if (mine === turn) put(twin, twinView(run, fitted));
    }, (e) => {
      if (mine === turn) put(twin, note('warn', h('p', null, coreProblem(e) ?? said(e))));
    });
    const offer = c.quote(fitted.fit, wish.value()).then((o) => {
      if (mine !== turn) return;
      offered = { offer: o, fitted, ask };
      put(quote, quoteView(o, fitted, () => void order()));
      announce(`The price is ${credits(o.price.total)}.`);
    }, (e) => {
      if (mine === turn) put(quote, note('bad', h('p', null, coreProblem(e) ?? quoteProblem(e, policy))));
    });
    await Promise.all([trial, offer]);
  }
  const wrong = h('div', { 'aria-live': 'assertive' });

  /** What was changed is not what the quote is for. */
  function stale() {
    if (!offered) return;
    offered = null;
    for (const b of quote.querySelectorAll('button.main')) b.setAttribute('disabled', '');
    quote.prepend(note('warn', h('p', null, 'You changed the question: this quote is for the one before. Get a new one.')));
  }

  // Ordering

  async function order() {
    const now = offered;
    if (!now) return;
    if (Number(now.offer.expiry) < Date.now() + 5_000) {
      toast('The quote has expired. Here is a new one.');
      await tryIt();
      return;
    }
    const who = session();
    if (!who) return;
    if (!who.verified) {
      toast('Confirm your mail address first: orders need it.', 'bad');
      ctx.go('/verify-mail');
      return;
    }
    const money_ = (await gql('{ myBalance { available } }')).myBalance.available;
    if (BigInt(money_) < BigInt(now.offer.price.total)) {
      notEnough(money_, now.offer.price.total);
      return;
    }
    const open = await unlocked('Your order is signed with your key, and the result will open with one that only your vault holds.');
    if (!open || !(await registeredKey(open, who.id))) return;
    confirmOrder(now.offer, now.fitted, async (deadlineSeconds, maxPrice) => {
      const placed = await open.place({ offer: now.offer.offer, maxPrice, deadlineSeconds });
      toast('Ordered. The price is in escrow.', 'good');
      ctx.go(`/orders/${placed.id}`);
    });
  }

  const allowed = policy.kinds.map((/** @type {string} */ k) => QUERY_KINDS[k] ?? k).join('; ');
  return {
    title: `Ask: ${l.title}`, crumbs, wide: true,
    node: h('div', null,
      heading('Ask a question', { lead: ['Of ', h('a', { href: `/listings/${id}` }, l.title), `. Allowed: ${allowed}.`] }),
      h('div', { class: 'aside half' },
        h('div', { class: 'stack', oninput: stale, onchange: stale }, kinds.node, wish.node, wrong,
          h('div', { class: 'actions' }, button('Try it and get a quote', () => {
            // Not busy meanwhile: a changed question is tried at once.
            void tryIt();
          }, { kind: 'main' }))),
        h('div', { class: 'stack-large' },
          section('Quote', h('div', { class: 'card' }, quote)),
          section('On the synthetic twin', h('div', { class: 'card' }, twin))))),
    leave() {
      turn += 1;
    },
  };
}

/** @param {unknown} e */
function said(e) {
  const t = e instanceof Error ? e.message : String(e);
  return t.charAt(0).toUpperCase() + t.slice(1) + (/[.!?]$/.test(t) ? '' : '.');
}

/**
 * Why there is no quote, with what to change.
 * @param {unknown} e
 * @param {any} policy
 */
function quoteProblem(e, policy) {
  const code = e instanceof Error && 'code' in e ? String(e.code) : '';
  if (code === 'QUERY_KIND_DENIED') return `The custodian does not allow this kind of question. Allowed: ${policy.kinds.map((/** @type {string} */ k) => QUERY_KINDS[k] ?? k).join('; ')}.`;
  if (code === 'TICKETS_USED_UP') return `${said(e)} Ask for fewer values, or wait until the custodian deals more.`;
  if (code === 'QUOTA_EXCEEDED') return `${said(e)} Ask for fewer values.`;
  return said(e);
}

// The ways of asking

/** @param {Listed} listed @returns {Builder} */
function statistics(listed) {
  const squares = new Set(listed.columns.filter((c) => c.kind === 'square').map((c) => c.name.slice(0, -2)));
  const usable = listed.columns.filter((c) => c.kind === 'numeric' || c.kind === 'category');
  const boxes = usable.map((c) => field({
    label: c.name, name: c.name, type: 'checkbox',
    hint: `${c.kind === 'category' ? 'share of rows' : 'mean, sum'}${squares.has(c.name) ? ', variance' : ''}${c.unit ? `, in ${c.unit}` : ''}`,
  }));
  const filter = field({ label: 'Find a column', name: 'filter', type: 'search', oninput: narrow });
  function narrow() {
    const want = filter.value().toLowerCase();
    for (const [i, b] of boxes.entries()) b.node.hidden = !(usable[i]?.name.toLowerCase().includes(want) ?? true) && !b.checked();
  }
  const node = h('fieldset', { class: 'stack' }, h('legend', { class: 'strong' }, 'Which columns?'),
    h('p', { class: 'hint' }, `Mean and sum of each in every segment (${listed.segments.map((s) => `${s.label}: ${plural(s.rows, 'row')}`).join('; ')}), and the variance where the custodian listed the square. Row counts are public and free.`),
    usable.length > 12 ? filter.node : null, h('div', { class: 'columns-list' }, boxes.map((b) => b.node)));
  return {
    node,
    ask() {
      const columns = usable.filter((_, i) => boxes[i]?.checked()).map((c) => c.name);
      if (columns.length === 0) throw new Error('Choose at least one column.');
      return { kind: 'statistics', columns };
    },
  };
}

/** @param {Listed} listed @param {string[]} kinds @returns {Builder} */
function model(listed, kinds) {
  const rowsAllowed = kinds.some((k) => k.startsWith('rows_'));
  const names = [...listed.columns.map((c) => c.name), ...listed.publicColumns.map((c) => c.name).filter((n) => n !== '1')];
  const source = field({
    label: 'The model', name: 'source', type: 'radio', value: 'file', onchange: show,
    options: [{ value: 'file', label: 'From a file' }, { value: 'typed', label: 'Type its coefficients' }],
  });
  const text = field({
    label: 'Model as JSON', name: 'model', type: 'textarea', rows: 9, mono: true, spellcheck: false,
    hint: 'kind (linear or logistic), columns, weights in real units, intercept.', placeholder: '{"kind": "linear", "columns": ["…"], "weights": [0.5], "intercept": 0}',
  });
  const chosen = h('p', { class: 'small quiet', 'aria-live': 'polite' });
  const file = h('div', { class: 'stack' }, drop({
    label: 'Choose model.json', accept: '.json,application/json', hint: 'At most 1 MiB. It is read here and goes nowhere.',
    async onfile(f) {
      if (f.size > MODEL_BYTES) throw new Error(`The file has ${bytes(f.size)}; the limit is 1 MiB.`);
      text.input.value = await f.text();
      chosen.textContent = `${f.name}, ${bytes(f.size)}`;
      text.setError(null);
    },
  }), chosen, text.node);
  const kind = field({ label: 'Kind', name: 'kind', type: 'select', options: [{ value: 'linear', label: 'Linear: the score is the prediction' }, { value: 'logistic', label: 'Logistic: the prediction is the logistic function of the score' }] });
  const intercept = field({ label: 'Intercept', name: 'intercept', inputmode: 'decimal', value: '0' });
  const find = field({ label: 'Find a column', name: 'filter', type: 'search', oninput: narrow });
  const inputs = names.map((n) => field({ label: n, name: n, inputmode: 'decimal', placeholder: '0' }));
  function narrow() {
    for (const [i, f] of inputs.entries()) f.node.hidden = !(names[i]?.toLowerCase().includes(find.value().toLowerCase()) ?? true) && f.value() === '';
  }
  const typed = h('div', { class: 'stack' }, h('div', { class: 'inline-fields' }, kind.node, intercept.node), names.length > 12 ? find.node : null, h('div', { class: 'inline-fields' }, inputs.map((f) => f.node)), h('p', { class: 'hint' }, 'Columns left empty have weight zero.'));
  const private_ = field({
    label: 'Keep the weights private', name: 'private', type: 'checkbox', checked: kinds.some((k) => k.endsWith('_private')),
    hint: 'Only you and the pod that is named in the quote see them; everybody else sees two rounded-up bounds of their size. The proof takes some 15 seconds an output.',
  });
  const rows = field({
    label: 'A score for every row, in place of the mean of each segment', name: 'rows', type: 'checkbox',
    hint: 'You learn a value about every person. In custodian-held custody the custodian can then solve for your weights, private or not.',
  });
  const body = h('div', { class: 'stack' });
  function show() {
    put(body, source.value() === 'typed' ? typed : file);
  }
  show();
  return {
    node: h('div', { class: 'stack' }, source.node, body, private_.node, rowsAllowed ? rows.node : h('p', { class: 'small quiet' }, 'You get the mean score of each segment; scores of rows are not for sale here.')),
    ask() {
      /** @type {LinearModel | string} */
      let m;
      /** @type {'linear' | 'logistic'} */
      let k;
      if (source.value() === 'typed') {
        /** @param {string} v @param {string} what */
        const number = (v, what) => {
          const x = Number(v.replace(',', '.').replace('−', '-'));
          if (v === '' || !Number.isFinite(x)) throw new Error(`${what}: “${v}” is no number.`);
          return x;
        };
        const used = names.map((n, i) => ({ n, v: inputs[i]?.value() ?? '' })).filter((x) => x.v !== '');
        if (used.length === 0) throw new Error('Type at least one coefficient.');
        k = /** @type {'linear' | 'logistic'} */ (kind.value());
        m = { kind: k, columns: used.map((x) => x.n), weights: used.map((x) => number(x.v, x.n)), intercept: number(intercept.value() || '0', 'Intercept') };
      } else {
        if (!text.value()) throw new Error('Choose a model file, or paste its JSON.');
        let parsed;
        try {
          parsed = JSON.parse(text.value());
        } catch (e) {
          text.setError(`This is no JSON: ${e instanceof Error ? e.message : e}`);
          text.input.focus();
          throw new Error('The model is no JSON.');
        }
        if (parsed.kind !== 'linear' && parsed.kind !== 'logistic') throw new Error('The model’s kind must be linear or logistic.');
        k = parsed.kind;
        m = text.value();
      }
      return { kind: k, model: m, rows: rowsAllowed && rows.checked() ? 'each' : 'mean', private: private_.checked() };
    },
  };
}

/** @param {Listed} listed @returns {Builder} */
function training(listed) {
  const numeric = listed.columns.filter((c) => c.kind === 'numeric');
  const others = [...listed.columns.filter((c) => c.kind === 'numeric' || c.kind === 'category').map((c) => c.name), ...listed.publicColumns.map((c) => c.name).filter((n) => n !== '1')];
  if (!listed.columns.some((c) => c.kind === 'square')) {
    return {
      node: empty('No regression here', 'A regression needs the squares and products of the columns, which this custodian did not list. Means and models work.'),
      ask() {
        throw new Error('This dataset lists no squares and products, which a regression needs.');
      },
    };
  }
  const target = field({ label: 'What is predicted', name: 'target', type: 'select', options: numeric.map((c) => ({ value: c.name, label: c.name })), onchange: () => narrow() });
  const boxes = others.map((n) => field({ label: n, name: n, type: 'checkbox' }));
  function narrow() {
    for (const [i, b] of boxes.entries()) b.node.hidden = others[i] === target.value();
  }
  narrow();
  const segments = listed.segments.length > 1 ? listed.segments.map((s) => field({ label: `${s.label} (${plural(s.rows, 'row')})`, name: s.label, type: 'checkbox', checked: true })) : [];
  const method = field({
    label: 'Method', name: 'method', type: 'radio', value: 'ols', onchange: () => {
      lambda.node.hidden = method.value() !== 'ridge';
      standard.node.hidden = method.value() !== 'ridge';
    },
    options: [{ value: 'ols', label: 'Ordinary least squares', hint: 'with standard errors and t values' }, { value: 'ridge', label: 'Ridge', hint: 'with a penalty on the squared coefficients' }],
  });
  const lambda = field({ label: 'Penalty λ', name: 'lambda', inputmode: 'decimal', value: '1' });
  const standard = field({ label: 'Of columns at unit variance', name: 'standardise', type: 'checkbox' });
  lambda.node.hidden = true;
  standard.node.hidden = true;
  const exclusive = field({ label: 'Columns of which no row has two other than zero', name: 'exclusive', optional: true, mono: true, hint: 'By commas; for yes/no columns of one question. Their products are then not bought, on your word.' });
  const exact = field({ label: 'Columns of whole numbers held exactly', name: 'exact', optional: true, mono: true, hint: 'By commas. They count as not moved by quantisation, on your word.' });
  /** @param {string} v */
  const list = (v) => v.split(',').map((x) => x.trim()).filter(Boolean);
  return {
    node: h('div', { class: 'stack' }, h('p', { class: 'quiet' }, 'You buy the sums that a regression needs, in one order; the regression is solved here, in your browser.'), target.node,
      h('fieldset', null, h('legend', { class: 'strong' }, 'Explained by'), h('div', { class: 'columns-list' }, boxes.map((b) => b.node))),
      segments.length ? h('fieldset', null, h('legend', { class: 'strong' }, 'Over the segments'), h('div', { class: 'choices' }, segments.map((b) => b.node))) : null,
      method.node, lambda.node, standard.node, details('Fewer moments, finer errors', exclusive.node, exact.node)),
    ask() {
      const features = others.filter((n, i) => n !== target.value() && boxes[i]?.checked());
      if (features.length === 0) throw new Error('Choose at least one column that explains.');
      const chosen = listed.segments.map((s) => s.label).filter((_, i) => segments.length === 0 || segments[i]?.checked());
      if (chosen.length === 0) throw new Error('Choose at least one segment.');
      const l = Number(lambda.value().replace(',', '.'));
      if (method.value() === 'ridge' && !(l > 0 && Number.isFinite(l))) throw new Error(`λ: “${lambda.value()}” is no positive number.`);
      return {
        kind: 'train', target: target.value(), features,
        ...(chosen.length < listed.segments.length ? { segments: chosen } : {}),
        ...(list(exclusive.value()).length ? { exclusive: [list(exclusive.value())] } : {}),
        ...(list(exact.value()).length ? { exact: list(exact.value()) } : {}),
        method: method.value() === 'ridge' ? { kind: 'ridge', lambda: l, standardise: standard.checked() } : { kind: 'ols' },
      };
    },
  };
}

/**
 * Which pod, which tickets: the marketplace chooses unless one is named.
 * @param {any} l
 * @param {import('../lib/market.js').Openers | null} openers
 */
function wishes(l, openers) {
  const classes = (l.tickets?.classes ?? []).filter((/** @type {any} */ c) => c.offered);
  const tickets = field({
    label: 'Opening tickets', name: 'ticketClass', type: 'select', value: classes[0]?.digest ?? '',
    options: classes.map((/** @type {any} */ c) => ({ value: c.digest, label: `${c.name} (${c.noiseDeviation > 0 ? 'with noise' : 'no noise'}, ${count(c.left)} left)` })),
  });
  const pod = field({ label: 'Compute pod', name: 'pod', type: 'select', options: [{ value: '', label: 'Chosen by the marketplace' }], hint: 'It reads private weights. If you trust one by name, choose it here: a quote for any other is then refused.' });
  gql('{ machines(kind: POD, first: 100) { nodes { id name signingKey decision } } }', {}, { quiet: true }).then((d) => {
    for (const m of d.machines.nodes.filter((/** @type {any} */ x) => x.decision === 'approved')) pod.input.append(h('option', { value: `${m.id} ${m.signingKey}` }, `${m.name} (${m.signingKey.slice(0, 8)}…)`));
  }, () => {});
  const pinned = field({ label: 'Refuse any other committee than this one', name: 'nodes', type: 'checkbox', hint: openers ? `Exactly the ${openers.nodes.length === 1 ? 'node' : `${openers.nodes.length} nodes`} that the policy names now.` : '' });
  return {
    node: h('div', { class: 'stack' }, classes.length > 1 ? tickets.node : null, details('Who computes and opens', pod.node, openers ? pinned.node : null)),
    /** @returns {import('../core/core.js').QuoteWish} */
    value() {
      const [id, key] = pod.value().split(' ');
      return {
        ...(id && key ? { pod: id, podKey: key } : {}),
        ...(classes.length && tickets.value() ? { ticketClass: tickets.value() } : {}),
        ...(pinned.checked() && openers ? { nodes: openers.nodes } : {}),
      };
    },
  };
}

// What comes back

/** @param {import('../core/core.js').TwinRun & {trainingRefusal?: string}} run @param {Fitted} fitted */
function twinView(run, fitted) {
  return h('div', { class: 'stack' },
    note('plain', h('p', null, h('strong', null, 'Synthetic. '), 'Nothing of the data is in these values.')),
    run.training ? coefficientTable(run.training) : null,
    run.training || run.trainingRefusal ? details('The sums that it rests on', valuesView(run.outputs, run.variances, { sums: false })) : valuesView(run.outputs, run.variances, { sums: false }),
    run.trainingRefusal ? note('plain', h('p', null, `No solution on the twin: ${run.trainingRefusal} The twin’s columns are independent of each other; the real ones need not be.`)) : null,
    facts([
      ['Off by, against exact arithmetic on the same rows', real(run.accuracyLoss, 3)],
      ['Rounding of the weights, at most a row', real(Math.max(0, ...fitted.accuracy.map((a) => a.maxError)), 3)],
      ['Took', `${real(run.seconds, 2)} s in your browser`],
    ]),
    fitted.notes.length ? h('ul', { class: 'small quiet' }, fitted.notes.map((n) => h('li', null, n))) : null);
}

/** @param {Offer} o @param {Fitted} fitted @param {() => void} order */
function quoteView(o, fitted, order) {
  const d = o.details;
  const outputs = d.outputs ?? [];
  return h('div', { class: 'stack' },
    h('p', { class: 'amount' }, credits(o.price.total)),
    priceSplit(o.price),
    facts([
      ['Values opened', `${count(o.values)} (${count(o.bits)} bits at most)`],
      ['Left before this order', `${count(d.valuesLeft)} values, ${count(d.bitsLeft)} bits`],
      ['Expected to take', span(o.expectedSeconds)],
      ['Holds until', moment(o.expiry)],
      o.ticketClass ? ['Noise', o.ticketClass.noisy ? `class ${o.ticketClass.name}: 95 of 100 values within ±${o.ticketClass.within95} steps` : `class ${o.ticketClass.name}: none`] : null,
    ]),
    button(`Order for ${credits(o.price.total)}`, async () => order(), { kind: 'main' }),
    o.pod.readsWeights ? note('warn', h('p', { class: 'small' }, 'The pod will read your weights. If you do not know it, name one that you trust under “Who computes and opens”.')) : null,
    details('Who learns what', seatTable(d.seats)),
    details('What stays private', h('ul', null, (d.privateParts ?? []).map((/** @type {string} */ p) => h('li', null, p)))),
    details('Precision', table({
      caption: 'Precision of each output', rows: outputs, dense: true, columns: [
        { label: 'Output', head: true, cell: (/** @type {any} */ x) => x.label },
        { label: 'Segment', cell: (/** @type {any} */ x) => x.segment },
        { label: 'Values', numeric: true, cell: (/** @type {any} */ x) => count(x.values) },
        { label: 'Step', numeric: true, cell: (/** @type {any} */ x) => `2^${-x.scaleLog2}` },
        { label: 'Noise margin', numeric: true, cell: (/** @type {any} */ x) => `${real(x.noiseSlackBits, 2)} bits` },
        { label: 'Weights', cell: (/** @type {any} */ x) => (x.privateWeights ? 'hidden' : 'public') },
      ],
    }), h('p', { class: 'small quiet' }, 'An opened integer counts in steps, for the sum over the rows. The margin is never negative: results are exact integers or the quote is refused.')),
    details('How this is proven', facts([['Quote', o.digest], ['Pod', `${o.pod.id}, key ${o.pod.signingKey}`], ['Openers', `${o.openers.custody}, ${o.openers.threshold} of ${o.openers.nodes.length}`], ['Policy version', o.policyVersion], ['Outputs', fitted.outputs.length]])));
}

/** @param {any[]} seats */
function seatTable(seats) {
  return table({ caption: 'Who learns what', wordy: true, rows: seats, columns: [{ label: 'Who', head: true, cell: (s) => s.seat }, { label: 'Learns', cell: (s) => s.learns }] });
}

/**
 * The last word before money moves.
 * @param {Offer} o
 * @param {Fitted} fitted
 * @param {(deadlineSeconds: number, maxPrice: string) => Promise<void>} place
 */
function confirmOrder(o, fitted, place) {
  const deadline = field({ label: 'Refund me if there is no result within', name: 'deadline', type: 'select', value: '3600', options: [['1800', 'half an hour'], ['3600', 'an hour'], ['10800', 'three hours']].map(([value, label]) => ({ value: value ?? '', label: label ?? '' })) });
  const bar = coreProgress('Signing, sealing, placing');
  bar.node.hidden = true;
  const f = form({
    fields: [deadline], submit: `Pay ${credits(o.price.total)} into escrow`,
    body: pieces(priceSplit(o.price), deadline.node, h('h3', null, 'Who learns what'), seatTable(o.details.seats), bar.node),
    async onsubmit() {
      bar.node.hidden = false;
      try {
        await place(Number(deadline.value()), o.price.total);
        d.close();
      } catch (e) {
        throw new Error(coreProblem(e) ?? said(e), { cause: e });
      } finally {
        bar.node.hidden = true;
      }
    },
  });
  const d = dialog({
    title: 'Order this?', wide: true,
    body: [h('p', null, `${plural(o.values, 'value')} of ${plural(fitted.outputs.length, 'output')}. You pay for a delivered, proven result, or get all of it back.`), f.node],
  });
}

/** @param {string} available @param {string} needed */
function notEnough(available, needed) {
  const missing = BigInt(needed) - BigInt(available);
  dialog({
    title: 'Not enough credits',
    body: [
      bars({ title: 'Your credits and the price', caption: false, items: [{ label: 'Available', value: Number(available) / 100 }, { label: 'Price', value: Number(needed) / 100 }], format: (x) => money(parseMoney(x.toFixed(2))) }),
      h('p', null, `You have ${credits(available)}; this costs ${credits(needed)}. Deposit at least ${credits(missing)}, then come back: the query stays in this page while it is open.`),
      h('p', { class: 'small quiet' }, `That is ${percent(Number((missing * 100n) / (BigInt(needed) || 1n)) / 100)} of the price.`),
    ],
    actions: h('a', { class: 'button main', href: '/balance?deposit', target: '_blank', rel: 'noopener' }, 'Deposit in a new tab'),
  });
}
