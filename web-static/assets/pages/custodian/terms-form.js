// @ts-check
/** What a policy says, as fields: price, kinds, cohort, quota. */
import { h, money, parseMoney } from '../../lib/dom.js';
import { details, field } from '../../lib/ui.js';

/**
 * @typedef {object} PolicyTerms
 * @property {import('../../core/core.js').PolicyAsk['kinds']} kinds
 * @property {number} minCohort
 * @property {string} quotaValues
 * @property {string} quotaBits
 * @property {string} priceOrder minor units
 * @property {string} priceOutput minor units
 * @property {number} custodianBasisPoints
 */

/** Bits that one opened value may have at most. */
const VALUE_BITS = 63n;

/** What is proposed: aggregates alone, of whole segments. @param {number} kMin @returns {PolicyTerms} */
export function proposed(kMin) {
  return { kinds: ['aggregate_public', 'aggregate_private'], minCohort: Math.max(10, kMin), quotaValues: '10000', quotaBits: String(10000n * VALUE_BITS), priceOrder: '2500', priceOutput: '100', custodianBasisPoints: 7500 };
}

/** Of a signed policy. @param {any} signed @returns {PolicyTerms} */
export function termsOf(signed) {
  const p = signed.body;
  return { kinds: p.kinds, minCohort: Number(p.min_cohort), quotaValues: p.quota_values, quotaBits: p.quota_bits, priceOrder: p.price_order, priceOutput: p.price_output, custodianBasisPoints: p.custodian_basis_points };
}

/** @param {string} v */
function amount(v) {
  try {
    parseMoney(v);
    return null;
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
}

/** @param {string} v @param {number} least */
function integer(v, least) {
  return /^\d{1,15}$/.test(v) && Number(v) >= least ? null : `A whole number of at least ${least}.`;
}

/**
 * @param {PolicyTerms} t
 */
export function termsForm(t) {
  const price = field({ label: 'Price of an order', name: 'price_order', value: money(t.priceOrder).replace(/\u202f/g, ''), inputmode: 'decimal', unit: 'cr', required: true, check: amount });
  const output = field({ label: 'and of each value', name: 'price_output', value: money(t.priceOutput).replace(/\u202f/g, ''), inputmode: 'decimal', unit: 'cr', required: true, check: amount });
  const statistics = field({ label: 'Statistics: sums, means, variances of a segment', name: 'kinds', type: 'checkbox', checked: t.kinds.includes('aggregate_public') });
  const models = field({ label: 'Models: the mean prediction over a segment, weights hidden', name: 'kinds_private', type: 'checkbox', checked: t.kinds.includes('aggregate_private') });
  const rows = field({
    label: 'A score for each row', name: 'kinds_rows', type: 'checkbox', checked: t.kinds.some((k) => k.startsWith('rows_')),
    hint: 'Off by default: a model that weighs one column alone reads that column out, row by row.',
  });
  const cohort = field({ label: 'Fewest rows under a value', name: 'min_cohort', value: String(t.minCohort), inputmode: 'numeric', required: true, check: (v) => integer(v, 2), hint: 'Segments with fewer rows are never opened.' });
  const quota = field({ label: 'Values that may ever be revealed', name: 'quota_values', value: t.quotaValues, inputmode: 'numeric', required: true, check: (v) => integer(v, 1), hint: 'Counted by the nodes themselves, over all orders for ever.' });
  const bits = field({ label: 'Bits that may ever be revealed', name: 'quota_bits', value: t.quotaBits, inputmode: 'numeric', required: true, check: (v) => integer(v, 1) });
  const part = field({ label: 'Your part of the price at least', name: 'custodian_basis_points', value: String(t.custodianBasisPoints / 100), inputmode: 'decimal', unit: '%', required: true, check: (v) => (Number(v) > 0 && Number(v) <= 100 ? null : 'More than 0 and at most 100.') });
  // More values need more bits; who set the bits by hand keeps them.
  let own = t.quotaBits !== String(BigInt(t.quotaValues) * VALUE_BITS);
  bits.input.addEventListener('input', () => { own = true; });
  quota.input.addEventListener('input', () => {
    if (!own && /^\d{1,15}$/.test(quota.value())) bits.input.value = String(BigInt(quota.value()) * VALUE_BITS);
  });
  const kindsError = h('p', { class: 'error', hidden: true }, 'Allow at least one kind of question.');
  return {
    fields: [price, output, statistics, models, rows, cohort, quota, bits, part],
    node: h('div', { class: 'stack' },
      h('div', { class: 'two' }, price.node, output.node),
      h('fieldset', null, h('legend', null, 'What may be asked'), statistics.node, models.node, rows.node, kindsError),
      h('div', { class: 'two' }, cohort.node, quota.node),
      details('More', h('div', { class: 'two' }, bits.node, part.node))),
    /** @returns {PolicyTerms | null} */
    read() {
      /** @type {PolicyTerms['kinds']} */
      const kinds = [];
      if (statistics.checked()) kinds.push('aggregate_public');
      if (models.checked()) kinds.push('aggregate_private');
      if (rows.checked()) kinds.push('rows_public', 'rows_private');
      kindsError.hidden = kinds.length > 0;
      if (kinds.length === 0) {
        statistics.input.focus();
        return null;
      }
      return {
        kinds, minCohort: Number(cohort.value()), quotaValues: quota.value(), quotaBits: bits.value(),
        priceOrder: String(parseMoney(price.value())), priceOutput: String(parseMoney(output.value())), custodianBasisPoints: Math.round(Number(part.value()) * 100),
      };
    },
  };
}
