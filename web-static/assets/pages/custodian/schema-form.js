// @ts-check
/** Settings of a table: the command line's schema file as a form. */
import { h } from '../../lib/dom.js';
import { ask, details, field } from '../../lib/ui.js';

/**
 * @typedef {import('../../core/core.js').Inspection} Inspection
 * @typedef {import('../../core/core.js').Schema} Schema
 * @typedef {import('../../core/core.js').ColumnSchema} ColumnSchema
 * @typedef {import('../../core/core.js').Missing} Missing
 */

/** @param {string} text @param {number} low @param {number} high */
function whole(text, low, high) {
  return /^\d+$/.test(text) && Number(text) >= low && Number(text) <= high ? null : `A whole number from ${low} to ${high}.`;
}

/**
 * The settings of the whole table; each change looks at the file again.
 * @param {{seen: Inspection, change: (s: Schema) => Promise<void>}} o
 */
export function settings({ seen, change }) {
  const s = seen.schema;
  const sup = s.suppression ?? {};
  const moments = s.second_moments ?? 'none';
  const name = field({ label: 'Name', name: 'name', value: s.name, required: true, maxlength: 128 });
  const segment = field({
    label: 'Groups', name: 'segment_by', type: 'select', value: (s.segment_by ?? [])[0] ?? '',
    hint: 'Results are taken over whole groups. The key and the number of rows of each are public.',
    options: [{ value: '', label: 'None: all rows together' }, ...seen.headers.map((x) => ({ value: x, label: x }))],
  });
  const second = field({
    label: 'Second moments', name: 'second_moments', type: 'select', value: typeof moments === 'string' ? moments : 'squares' in moments ? 'squares' : 'some',
    hint: 'Squares allow variances; all products allow regressions, and take more space.',
    options: [{ value: 'none', label: 'None: means alone' }, { value: 'squares', label: 'Squares of every number: variances' }, { value: 'all', label: 'All products: regressions too' }, ...(typeof moments !== 'string' && !('squares' in moments) ? [{ value: 'some', label: 'As in the schema file' }] : [])],
  });
  const bits = field({ label: 'Bits of each value', name: 'bits', value: String(s.bits ?? 10), inputmode: 'numeric', check: (v) => whole(v, 1, 32), hint: 'How finely values are held. Values, weights, rows and noise share 64 bits.' });
  const least = field({ label: 'Fewest rows', name: 'k_min', value: String(sup.k_min ?? 10), inputmode: 'numeric', check: (v) => whole(v, 1, 1_000_000), hint: 'What rests on fewer is not encrypted.' });
  const share = field({ label: 'Largest share of one row', name: 'max_share_percent', value: String(sup.max_share_percent ?? 25), inputmode: 'numeric', unit: '%', check: (v) => whole(v, 1, 100), hint: 'A total that one row makes up more of is left out.' });
  const empties = field({ label: 'Texts that count as empty', name: 'missing_values', value: (s.missing_values ?? []).join(', '), placeholder: 'NA, null', optional: true });
  const missing = missingField(s.missing ?? 'refuse');
  const all = [name, segment, second, bits, least, share, empties, missing];
  const numbers = (seen.report?.columns ?? []).filter((c) => c.kind === 'numeric').map((c) => c.name);

  const apply = async () => {
    if (!all.every((f) => f.valid())) return;
    const chosen = second.value();
    /** @type {Schema} */
    const next = {
      ...s, name: name.value(), segment_by: segment.value() ? [segment.value()] : [], bits: Number(bits.value()),
      second_moments: chosen === 'squares' ? { squares: numbers } : chosen === 'some' ? moments : /** @type {'none' | 'all'} */ (chosen),
      missing: missingOf(missing.value()), missing_values: empties.value().split(',').map((x) => x.trim()).filter(Boolean),
      suppression: { ...sup, k_min: Number(least.value()), max_share_percent: Number(share.value()) },
    };
    if (JSON.stringify(next) !== JSON.stringify(s)) await change(next);
  };
  for (const f of all) f.input.addEventListener('change', () => void apply());
  return h('div', { class: 'card stack' },
    h('div', { class: 'three' }, name.node, segment.node, second.node),
    details('More settings', h('div', { class: 'three' }, bits.node, least.node, share.node, missing.node, empties.node)));
}

/** @param {Missing} m */
function missingField(m) {
  const value = typeof m === 'string' ? m : 'constant' in m ? `constant:${m.constant}` : `category:${m.category}`;
  return field({
    label: 'Empty cells', name: 'missing', type: 'select', value,
    options: [
      { value: 'refuse', label: 'Are refused' }, { value: 'mean', label: 'Become the mean, counted in the report' },
      { value: 'constant:0', label: 'Become 0' }, { value: 'category:missing', label: 'Become a category “missing”' },
      ...(['refuse', 'mean', 'constant:0', 'category:missing'].includes(value) ? [] : [{ value, label: value.replace(':', ' ') }]),
    ],
  });
}

/** @param {string} value @returns {Missing} */
function missingOf(value) {
  if (value === 'refuse' || value === 'mean') return value;
  const text = value.slice(value.indexOf(':') + 1);
  return value.startsWith('constant:') ? { constant: Number(text) } : { category: text };
}

/**
 * One column's settings; the changed schema, or null.
 * @param {Schema} schema
 * @param {string} name
 * @returns {Promise<Schema | null>}
 */
export function columnDialog(schema, name) {
  const c = schema.columns?.[name] ?? {};
  const number = (/** @type {string} */ v) => (Number.isFinite(Number(v)) ? null : 'This is no number.');
  const kind = field({
    label: 'Held as', name: 'kind', type: 'select', value: c.kind ?? '',
    options: [{ value: '', label: 'As it looks' }, { value: 'numeric', label: 'Numbers' }, { value: 'categorical', label: 'Categories' }, { value: 'drop', label: 'Not at all' }],
  });
  const unit = field({ label: 'Unit', name: 'unit', value: c.unit ?? '', optional: true, maxlength: 64, placeholder: 'years' });
  const min = field({ label: 'Least value', name: 'min', value: c.min === null || c.min === undefined ? '' : String(c.min), inputmode: 'decimal', optional: true, check: number, hint: 'Published. Without it the range is widened to a power of two.' });
  const max = field({ label: 'Greatest value', name: 'max', value: c.max === null || c.max === undefined ? '' : String(c.max), inputmode: 'decimal', optional: true, check: number });
  const outside = field({ label: 'What lies outside', name: 'outside', type: 'select', value: c.outside ?? 'refuse', options: [{ value: 'refuse', label: 'Is refused' }, { value: 'clip', label: 'Is cut to the range, and counted' }] });
  const bits = field({ label: 'Bits', name: 'bits', value: c.bits === null || c.bits === undefined ? '' : String(c.bits), inputmode: 'numeric', optional: true, check: (v) => whole(v, 1, 32) });
  return ask({
    title: `Column “${name}”`, fields: [kind, unit, min, max, outside, bits], submit: 'Apply',
    async act() {
      /** @type {ColumnSchema} */
      const next = { ...c, unit: unit.value(), outside: /** @type {'refuse' | 'clip'} */ (outside.value()) };
      next.kind = kind.value() ? /** @type {'numeric' | 'categorical' | 'drop'} */ (kind.value()) : null;
      next.min = min.value() === '' ? null : Number(min.value());
      next.max = max.value() === '' ? null : Number(max.value());
      next.bits = bits.value() === '' ? null : Number(bits.value());
      return { ...schema, columns: { ...schema.columns, [name]: next } };
    },
  });
}
