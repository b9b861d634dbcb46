// @ts-check
/** A listing's policy in words: what may be asked, what it costs, who opens. */
import { basisPoints, count, credits, h, plural, real, when, words } from '../../lib/dom.js';
import { facts, hash } from '../../lib/ui.js';

/** @type {Record<string, string>} */
export const KINDS = {
  aggregate_public: 'Sums, means and variances over whole segments, with weights that everybody sees',
  aggregate_private: 'The mean prediction of a model over a segment, its weights hidden from everybody but the pod',
  rows_public: 'A score for each row, with weights that everybody sees',
  rows_private: 'A score for each row, the model’s weights hidden from everybody but the pod',
};

/** @param {string} kind */
export function perRow(kind) {
  return kind.startsWith('rows_');
}

/**
 * Units of 2^-40 as zCDP.
 * @param {string | number} units
 */
export function rhoOf(units) {
  return Number(units) / 2 ** 40;
}

/** @typedef {{custody: 'committee', nodes: string[], threshold: number} | {custody: 'custodian_held', node_key: string}} Openers */

/**
 * Who opens, in words.
 * @param {Openers | null | undefined} openers
 */
export function openersWords(openers) {
  if (!openers) return h('span', { class: 'quiet' }, 'not said yet');
  if (openers.custody === 'committee') {
    return h('span', null, `A committee of ${openers.nodes.length} key nodes: any ${openers.threshold} open a result for its buyer, fewer learn nothing, and neither does the custodian. `,
      openers.nodes.map((k) => [' ', hash(k, 8)]));
  }
  return h('span', null, 'The custodian’s own key node, which holds the data key: the custodian learns every result. ', hash(openers.node_key, 8));
}

/**
 * The policy as a list of sentences.
 * @param {any} signed `{body, key, signature}`
 */
export function policyWords(signed) {
  const p = signed?.body;
  if (!p) return h('p', { class: 'quiet' }, 'No policy is signed yet.');
  const classes = (p.tickets?.classes ?? []).filter((/** @type {any} */ c) => c.offered);
  const kinds = /** @type {string[]} */ (p.kinds);
  const row = kinds.some(perRow);
  return facts([
    ['May be asked', h('ul', null, kinds.map((k) => h('li', null, KINDS[k] ?? k)))],
    ['Row by row', row ? h('strong', null, 'Allowed: weights of one column alone would read it out') : 'Never: only whole segments'],
    ['Fewest rows under a value', count(p.min_cohort)],
    ['Values that may ever be revealed', `${count(p.quota_values)} (${count(p.quota_bits)} bits)`],
    ['Price', `${credits(p.price_order)} an order and ${credits(p.price_output)} for each value; at least ${basisPoints(p.custodian_basis_points)} of it is the custodian’s`],
    ['Who opens', openersWords(p.openers)],
    classes.length > 0 && ['Opening tickets', h('ul', null, classes.map((/** @type {any} */ c) => h('li', null, `${c.name}: ${law(c.mechanism)}`)))],
    p.tickets && ['Privacy that all tickets together may cost', budget(p.tickets.rho_limit_units)],
    ['Evaluation', p.min_class === 'proven' ? 'Proven: every step from the committed data to the opened ciphertext' : String(p.min_class)],
    ['Version', [`${p.policy_version}, valid from `, when(p.valid_from)]],
    ['Signed by', hash(signed.key)],
  ]);
}

/** @param {string} units */
function budget(units) {
  const rho = rhoOf(units);
  return rho === 0 ? 'None is spent: no class has noise, so quota and cohort alone bound what is learnt' : `${rho.toPrecision(3)} zCDP`;
}

/** @param {{law: string, scale?: {numerator: string, denominator: string}, variance?: {numerator: string, denominator: string}}} m */
function law(m) {
  /** @param {{numerator: string, denominator: string} | undefined} f */
  const fraction = (f) => (f ? Number(f.numerator) / Number(f.denominator) : 0);
  if (m.law === 'none') return 'exact, no noise';
  if (m.law === 'discrete_laplace') return `discrete Laplace noise of scale ${real(fraction(m.scale), 4)}, in opened integers`;
  if (m.law === 'discrete_gaussian') return `discrete Gaussian noise of deviation ${real(Math.sqrt(fraction(m.variance)), 4)}, in opened integers`;
  return words(m.law);
}

/**
 * What a reviewer should look at twice.
 * @param {any} signed
 * @param {{segments: {label: string, rows: string}[]} | null} manifest
 * @returns {string[]}
 */
export function concerns(signed, manifest) {
  const p = signed?.body;
  if (!p) return ['No policy is signed.'];
  const out = [];
  const rows = (manifest?.segments ?? []).reduce((n, s) => n + Number(s.rows), 0);
  if (p.kinds.some(perRow)) out.push('Per-row release is allowed: ask for the reason.');
  if (Number(p.min_cohort) < 10) out.push(`The minimum cohort is ${p.min_cohort}: a mean over so few rows says much of each.`);
  if (rows > 0 && Number(p.quota_values) > rows) out.push(`The quota of ${count(p.quota_values)} values is more than the ${plural(rows, 'row')}: enough equations to solve for rows.`);
  if (p.openers?.custody === 'custodian_held') out.push('The custodian’s own node opens: the custodian learns every result.');
  const exact = (p.tickets?.classes ?? []).some((/** @type {any} */ c) => c.offered && c.mechanism?.law === 'none');
  if (exact) out.push('A class of tickets has no noise: what is learnt is bounded by quota and cohort alone.');
  return out;
}
