// @ts-check
/** What the marketplace's documents mean, in words: one place for all pages. */
import { basisPoints, count, credits, h, plural, real } from './dom.js';
import { badge, facts, hash, tag } from './base.js';

/** @typedef {import('./dom.js').Child} Child */

// Datasets

/**
 * What the manifest says of a column.
 * @typedef {object} Column
 * @property {string} name
 * @property {'numeric' | 'category' | 'square' | 'product'} kind
 * @property {string[]} of its source columns
 * @property {string} unit
 * @property {number} min in real units
 * @property {number} max
 * @property {number} step the resolution
 */

/**
 * A dataset as its manifest describes it, without the roots.
 * @typedef {object} Shape
 * @property {string} name
 * @property {string} rows
 * @property {Column[]} columns
 * @property {{label: string, rows: string}[]} segments
 * @property {string[]} keys public columns, the segment keys among them
 */

/**
 * @param {any} manifest as the API gives it
 * @returns {Shape}
 */
export function shapeOf(manifest) {
  let rows = 0n;
  for (const s of manifest.segments) rows += BigInt(s.rows);
  return {
    name: String(manifest.name),
    rows: rows.toString(),
    columns: manifest.columns.map((/** @type {any} */ c) => {
      const step = 2 ** -c.scale_log2;
      const k = c.kind;
      return {
        name: String(c.name), kind: k.kind, unit: String(c.unit),
        of: k.kind === 'product' ? [k.left, k.right] : k.kind === 'numeric' ? [c.name] : [k.source],
        min: Number(c.min) * step, max: Number(c.max) * step, step,
      };
    }),
    segments: manifest.segments.map((/** @type {any} */ s) => ({ label: String(s.label), rows: String(s.rows) })),
    keys: manifest.public_columns.map((/** @type {any} */ c) => String(c.name)).filter((/** @type {string} */ n) => n !== '1'),
  };
}

const KEPT = 'veilbourse-shape-';

/**
 * A shape read before: a dataset root never changes what it stands for.
 * @param {string} dataset
 * @returns {Shape | null}
 */
export function keptShape(dataset) {
  try {
    const text = localStorage.getItem(KEPT + dataset);
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/**
 * @param {string} dataset
 * @param {Shape} shape
 */
export function keepShape(dataset, shape) {
  try {
    const all = Object.keys(localStorage).filter((k) => k.startsWith(KEPT));
    if (all.length > 300) for (const k of all.slice(0, 100)) localStorage.removeItem(k);
    localStorage.setItem(KEPT + dataset, JSON.stringify(shape));
  } catch {
    // Full or forbidden: it is fetched again.
  }
}

/** @param {Column} c */
export function rangeOf(c) {
  return `${real(c.min, 5)} to ${real(c.max, 5)}${c.unit ? ` ${c.unit}` : ''}`;
}

/** @type {Record<string, string>} */
export const COLUMN_KINDS = { numeric: 'number', category: 'yes/no category', square: 'square', product: 'product' };

// Custody and assurance

/**
 * @typedef {object} Openers
 * @property {'custodian_held' | 'committee'} custody
 * @property {string[]} nodes keys
 * @property {number} threshold
 */

/**
 * @param {string | Record<string, any> | null | undefined} json the API's `openers`, or the document's
 * @returns {Openers | null}
 */
export function openersOf(json) {
  if (!json) return null;
  const o = typeof json === 'string' ? JSON.parse(json) : json;
  return o.custody === 'committee'
    ? { custody: 'committee', nodes: o.nodes, threshold: o.threshold }
    : { custody: 'custodian_held', nodes: [o.node_key], threshold: 1 };
}

/** @param {Openers | null} o */
export function custodyWords(o) {
  if (!o) return 'not said yet';
  return o.custody === 'committee' ? `Committee: any ${o.threshold} of ${o.nodes.length} key nodes` : 'The custodian’s own key node';
}

/**
 * How a result will be backed, as labels.
 * @param {Openers | null} o
 * @param {string} [minClass]
 */
export function assurance(o, minClass = 'proven') {
  return h('span', { class: 'tags' },
    badge('proven', `evaluation: ${minClass}`),
    o ? badge(o.custody === 'committee' ? 'verified' : 'warning', `decryption: ${o.custody === 'committee' ? 'committee-attested' : 'custodian-attested'}`) : null);
}

/**
 * What each seat learns of an order on a listing with these openers.
 * @param {Openers | null} o
 * @param {{rows?: boolean}} [allowed]
 * @returns {{seat: string, learns: string}[]}
 */
export function seatsOf(o, allowed = {}) {
  const committee = o?.custody === 'committee';
  return [
    { seat: 'The buyer', learns: 'The values it ordered, and nothing else of the rows.' },
    {
      seat: 'The custodian',
      learns: committee
        ? 'That a query was made, its public shape, what was paid. Not the result, unless it conspires with a node of the quorum.'
        : `The opened values: its own key node decrypts them.${allowed.rows ? ' With per-row results it can also solve for private weights.' : ''}`,
    },
    { seat: 'The compute pod', learns: 'The public shape of the query; private weights, which are sealed to it. No row and no result.' },
    ...(committee && o ? [{ seat: 'The key nodes', learns: `Masked words that fewer than ${o.threshold} of them cannot read. ${o.threshold} of one quorum together could read the result, and so could the custodian with one of them.` }] : []),
    { seat: 'The marketplace', learns: 'The public shape, sizes, times and price. No private weights, no row, no result.' },
    { seat: 'Whoever is shown the receipt', learns: 'The public shape, bounds on the weights and the encrypted outputs, which whoever holds the data key can read.' },
  ];
}

// Policies

/** @type {Record<string, string>} */
export const QUERY_KINDS = {
  aggregate_public: 'means and sums of segments, weights public',
  aggregate_private: 'means and sums of segments, weights hidden',
  rows_public: 'a score for every row, weights public',
  rows_private: 'a score for every row, weights hidden',
};

/** @type {Record<string, string>} */
const SHORT_KINDS = { aggregate_public: 'aggregates', aggregate_private: 'private models', rows_public: 'per-row', rows_private: 'per-row, private' };

/** @param {readonly string[]} kinds */
export function kindTags(kinds) {
  return kinds.map((k) => tag(SHORT_KINDS[k] ?? k));
}

/**
 * A signed policy in sentences.
 * @param {any} signed
 * @returns {string[]}
 */
export function policyWords(signed) {
  const p = signed.body;
  const rows = p.kinds.filter((/** @type {string} */ k) => k.startsWith('rows_'));
  return [
    `Allowed are ${p.kinds.map((/** @type {string} */ k) => QUERY_KINDS[k] ?? k).join('; ')}.`,
    rows.length ? 'Scores of single rows may be bought: this reveals a value about every person in the table.' : 'No value of a single row is ever released.',
    `No segment of fewer than ${plural(p.min_cohort, 'row')} may be asked about.`,
    `At most ${plural(p.quota_values, 'value')} and ${plural(p.quota_bits, 'bit')} of this dataset may ever be revealed, to all buyers together.`,
    `An order costs ${credits(p.price_order)} and ${credits(p.price_output)} for each value; at least ${basisPoints(p.custodian_basis_points)} of it goes to the custodian.`,
    `Results must be ${p.min_class}.`,
    p.openers.custody === 'committee'
      ? `Results are opened by any ${p.openers.threshold} of the ${p.openers.nodes.length} key nodes that the policy names by key, and sealed to the buyer.`
      : 'Results are opened by the custodian’s own key node, which therefore sees them.',
    ...(p.tickets ? p.tickets.classes.filter((/** @type {any} */ c) => c.offered).map((/** @type {any} */ c) => `Opening tickets “${c.name}”: a row may move a value by ${count(c.sensitivity)} at most.`) : []),
  ];
}

/**
 * The price of an order of so many values.
 * @param {string | bigint} order
 * @param {string | bigint} output
 * @param {string | bigint | number} values
 */
export function priceOf(order, output, values) {
  return BigInt(order) + BigInt(output) * BigInt(values);
}

// Orders

/**
 * An order's way, in both custodies: what each state means to the buyer.
 * @type {{state: string, title: string, text: string}[]}
 */
export const ORDER_STEPS = [
  { state: 'funded', title: 'Paid into escrow', text: 'The price is reserved. Nobody has it until the result is delivered.' },
  { state: 'leased', title: 'A pod computes on ciphertext', text: 'It evaluates the query and proves every step.' },
  { state: 'evaluated', title: 'The proof is checked', text: 'By the marketplace now; by the key nodes and by you later.' },
  { state: 'verified', title: 'The proof holds', text: 'The price is committed; key nodes may open.' },
  { state: 'opening', title: 'Key nodes open the result', text: 'Each checks the order, the policy and the proof itself, then seals its part to you.' },
  { state: 'released', title: 'Delivered and paid', text: 'The result is yours; the price was split as quoted.' },
];

/** @type {Record<string, string>} */
export const REFUND_REASONS = {
  rejected: 'The pod’s proof did not verify. Nothing was opened.',
  expired: 'The deadline passed before the result could be opened.',
  undeliverable: 'No pod finished, or the key nodes could not deliver in time.',
};

/** States that an order does not leave. @param {string} state */
export function isOver(state) {
  return state === 'released' || state === 'refunded';
}

/**
 * A price's split as a receipt shows it.
 * @param {{total: string, fee: string, pod: string, custodian: string}} p
 */
export function priceSplit(p) {
  return facts([
    ['Custodian', credits(p.custodian)],
    ['Compute pod', credits(p.pod)],
    ['Marketplace fee', credits(p.fee)],
    [h('span', { class: 'sum' }, 'Total'), h('span', { class: 'sum' }, credits(p.total))],
  ], 'receipt');
}

/**
 * Keys as a list.
 * @param {readonly string[]} keys
 */
export function keyList(keys) {
  return keys.length === 1 ? hash(keys[0], 16) : h('ol', { class: 'small' }, keys.map((k) => h('li', null, hash(k, 24))));
}
