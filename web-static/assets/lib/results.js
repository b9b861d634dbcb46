// @ts-check
/** Opened values: tables and plots with what they may be off by. */
import { count, h, real } from './dom.js';
import { histogram, intervals } from './plot.js';
import { details, facts, table } from './ui.js';

/** @typedef {import('../core/core.js').OutputValues} Output */
/** @typedef {import('../core/core.js').VarianceValue} Variance */

/** Most rows of scores that a table shows. */
const SHOWN = 100;

/**
 * How far a value may be off: 95 of 100 by noise, and rounding at worst.
 * @param {Output} o
 */
export function margin(o) {
  return o.within95 + o.roundingError;
}

/**
 * A value with what it may be off by, two digits beyond that: opened integers
 * are exact, and rounding is rarely as bad as at its worst.
 * @param {number} x
 * @param {number} error
 */
export function withError(x, error) {
  if (!(error > 0)) return real(x, 8);
  const digits = Math.max(0, Math.min(12, 3 - Math.floor(Math.log10(error))));
  return `${x.toFixed(digits).replace('-', '−')} ± ${real(error, 2)}`;
}

/**
 * Means as table and plot; scores of rows as histogram and table.
 * @param {readonly Output[]} outputs
 * @param {readonly Variance[]} variances
 * @param {{sums?: boolean}} [show] sums beside the means, unless false
 */
export function valuesView(outputs, variances, show = {}) {
  // A square is bought for its variance, which is shown; the files have it too.
  const squares = new Set(variances.map((v) => `${v.column}^2`));
  const means = outputs.filter((o) => o.mean && !squares.has(tidy(o.label)));
  const rows = outputs.filter((o) => !o.mean);
  const noisy = outputs.some((o) => o.noiseDeviation > 0);
  // Squares were bought for the variances, which are shown by themselves.
  const labels = [...new Set(means.map((o) => o.label))].filter((l) => variances.length === 0 || !l.endsWith('^2'));
  return h('div', { class: 'stack-large' },
    means.length ? h('div', { class: 'stack' },
      table({
        caption: 'Values', rows: means, columns: [
          { label: 'Of', head: true, cell: (o) => tidy(o.label) },
          { label: 'Segment', cell: (o) => o.segment },
          { label: 'Rows', numeric: true, cell: (o) => count(o.rows) },
          { label: 'Mean', numeric: true, cell: (o) => withError(o.values[0] ?? NaN, margin(o)) },
          ...(show.sums === false ? [] : [{ label: 'Sum', numeric: true, cell: (/** @type {Output} */ o) => (o.probabilities ? '' : withError((o.values[0] ?? NaN) * o.rows, margin(o) * o.rows)) }]),
        ],
      }),
      // One scale a quantity: means of different columns do not share an axis.
      labels.length <= 12 ? h('div', { class: 'plots' }, labels.map((l) => intervals({
        title: `Mean of ${tidy(l)}`,
        items: means.filter((o) => o.label === l).map((o) => ({ label: o.segment, value: o.values[0] ?? NaN, low: (o.values[0] ?? NaN) - margin(o), high: (o.values[0] ?? NaN) + margin(o) })),
        format: (x) => real(x, 7), ...(noisy ? { bound: '95 %' } : {}),
      }))) : null,
      h('p', { class: 'small quiet' }, noisy ? 'Bars: 95 of 100 noisy values are within, rounding at its worst added.' : 'Bars: what rounding of data and weights may have moved at worst. There is no noise in these values.'),
      means.some((o) => o.probabilities) ? h('p', { class: 'small quiet' }, 'These are mean scores. The logistic function of a mean score is not the mean probability.') : null) : null,
    variances.length ? table({
      caption: 'Variances', hideCaption: false, rows: variances, columns: [
        { label: 'Of', head: true, cell: (v) => v.column }, { label: 'Segment', cell: (v) => v.segment }, { label: 'Rows', numeric: true, cell: (v) => count(v.rows) },
        { label: 'Variance', numeric: true, cell: (v) => withError(v.value, 1.96 * v.noiseDeviation) },
        { label: 'Standard deviation', numeric: true, cell: (v) => (v.value >= 0 ? real(Math.sqrt(v.value), 6) : h('span', { title: 'Noise made the variance negative' }, 'n/a')) },
      ],
    }) : null,
    rows.length ? scores(rows) : null);
}

/** @param {string} label */
export function tidy(label) {
  return label.replace(/^(mean|sum) of /, '');
}

/** @param {Output[]} outputs */
function scores(outputs) {
  const bySegment = [...new Set(outputs.map((o) => o.segment))];
  return h('div', { class: 'stack' }, bySegment.map((segment) => {
    const of = outputs.filter((o) => o.segment === segment);
    const values = of.flatMap((o) => o.probabilities ?? o.values);
    const what = of[0]?.probabilities ? 'probability' : 'score';
    const [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const bins = 24;
    const counts = Array.from({ length: bins }, () => 0);
    const width = high > low ? (high - low) / bins : 1;
    for (const v of values) {
      const at = Math.min(bins - 1, Math.floor((v - low) / width));
      counts[at] = (counts[at] ?? 0) + 1;
    }
    const first = of[0];
    return h('div', { class: 'stack' },
      histogram({ title: `${what === 'probability' ? 'Probabilities' : 'Scores'}, ${segment}`, edges: Array.from({ length: bins + 1 }, (_, i) => low + i * width), counts }),
      first ? h('p', { class: 'small quiet' }, `Each within ±${real(margin(first), 3)} of what it would be in exact arithmetic${first.noiseDeviation > 0 ? ', 95 of 100 times' : ''}.`) : null,
      details(`The first ${Math.min(SHOWN, values.length)} of ${count(values.length)} rows`, table({ caption: `Scores, ${segment}`, dense: true, rows: values.slice(0, SHOWN), columns: [{ label: 'Row', numeric: true, cell: (_v, i) => i + 1 }, { label: what, numeric: true, cell: (v) => real(v, 7) }] })));
  }));
}

/**
 * A regression's coefficients, as training.json has them.
 * @param {import('../core/core.js').Training} t
 */
export function coefficientTable(t) {
  const m = t.model;
  const fit = t.training.fit;
  /** @type {string[]} */
  const notes = t.training.notes ?? [];
  const rows = [{ name: '(intercept)', value: m.intercept, more: fit.intercept }, ...m.columns.map((c, i) => ({ name: c, value: m.weights[i] ?? NaN, more: fit.coefficients[i] }))];
  const errors = rows.some((r) => typeof r.more?.standard_error === 'number');
  return h('div', { class: 'stack' },
    table({
      caption: 'Coefficients', rows, columns: [
        { label: 'Column', head: true, cell: (r) => h('span', { class: 'mono' }, r.name) },
        { label: 'Coefficient', numeric: true, cell: (r) => real(r.value, 7) },
        ...(errors ? [
          { label: 'Standard error', numeric: true, cell: (/** @type {any} */ r) => (typeof r.more?.standard_error === 'number' ? real(r.more.standard_error, 4) : '') },
          { label: 't', numeric: true, cell: (/** @type {any} */ r) => (typeof r.more?.t === 'number' ? real(r.more.t, 4) : '') },
        ] : []),
      ],
    }),
    errors ? intervals({
      title: 'Coefficients with 95 % intervals',
      items: rows.filter((r) => typeof r.more?.standard_error === 'number' && r.name !== '(intercept)').map((r) => ({ label: r.name, value: r.value, low: r.value - 1.96 * r.more.standard_error, high: r.value + 1.96 * r.more.standard_error })),
      bound: '95 %',
    }) : null,
    facts([['R²', `${real(fit.r_squared, 4)} (adjusted ${real(fit.adjusted_r_squared, 4)})`], ['Rows', count(fit.rows)], ['Residual standard error', real(fit.residual_standard_error, 4)], ['Condition of the features', real(fit.condition, 3)]]),
    notes.length ? details('What these figures mean', h('ul', null, notes.map((n) => h('li', null, n)))) : null);
}
