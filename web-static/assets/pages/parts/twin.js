// @ts-check
/**
 * The synthetic twin of a listing as plots: what everybody may look at before a
 * query, and what a reviewer looks at before it is published.
 */
import { download } from '../../lib/api.js';
import { h } from '../../lib/dom.js';
import { bars, histogram } from '../../lib/plot.js';
import { details, empty, note } from '../../lib/ui.js';
import { marginals, rows } from './csv.js';

/** Plots at once: a wide table shows the rest when asked. */
const SHOWN = 24;

/**
 * @param {string} listing
 * @param {string} name
 * @param {AbortSignal} [signal]
 */
async function text(listing, name, signal) {
  const blob = await download(`/v1/listings/${encodeURIComponent(listing)}/objects/${name}`, signal ? { signal } : {});
  return blob.text();
}

/**
 * Plots of the twin's columns, with what they were sampled from.
 * @param {string} listing
 * @param {{columns: {name: string, unit: string}[]} | null} manifest
 * @param {AbortSignal} [signal]
 */
export async function twinPlots(listing, manifest, signal) {
  let csv;
  try {
    csv = await text(listing, 'twin.csv', signal);
  } catch (e) {
    if (!(e instanceof Error && 'code' in e && e.code === 'NOT_FOUND')) throw e;
    return empty('No synthetic preview', 'This listing was uploaded without a twin.');
  }
  const unit = new Map((manifest?.columns ?? []).map((c) => [c.name, c.unit]));
  const all = marginals(rows(csv));
  const plots = all.map((m) => {
    const u = unit.get(m.name);
    const title = u ? `${m.name} (${u})` : m.name;
    return m.kind === 'numeric'
      ? histogram({ title, edges: m.edges, counts: m.counts, ...(u ? { unit: u } : {}), height: 120 })
      : bars({ title, items: m.counts.slice(0, 12), what: 'Rows' });
  });
  let leaks = null;
  try {
    const about = JSON.parse(await text(listing, 'twin.json', signal));
    leaks = details('Every figure that the twin was sampled from', h('pre', null, typeof about.leaks === 'string' ? about.leaks : JSON.stringify(about.leaks, null, 2)));
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
  }
  const more = plots.slice(SHOWN);
  return h('div', { class: 'stack' },
    note('plain', `Synthetic: ${all[0]?.rows ?? 0} rows sampled column by column from published counts. No row of the data is in them, and nothing of how columns go together.`),
    h('div', { class: 'plots' }, plots.slice(0, SHOWN)),
    more.length > 0 ? details(`${more.length} more columns`, h('div', { class: 'plots' }, more)) : null,
    leaks);
}
