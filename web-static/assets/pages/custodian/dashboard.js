// @ts-check
/** The custodian's first page: what is earned, asked, revealed and left. */
import { gql } from '../../lib/api.js';
import { count, credits, day, h, money } from '../../lib/dom.js';
import { bars, line } from '../../lib/plot.js';
import { badge, empty, figure, figures, heading, linkButton, section, table } from '../../lib/ui.js';
import { filled } from '../parts/figures.js';
import { quotaMeter } from '../parts/reveals.js';
import { all } from '../parts/staff.js';

const SUMMARY = '{ custodianSummary { earned orders revealed perDay { date orders values earned } listings { listing orders values earned } } }';
const MINE = `query Mine($after: String) { listings(filter: { mine: true }, first: 50, after: $after) {
  nodes { id title state reason createdAt reveals { values valuesLeft } } pageInfo { hasNextPage endCursor } } }`;

/**
 * @typedef {{id: string, title: string, state: string, reason: string | null, createdAt: string, reveals: {values: string, valuesLeft: string} | null}} Mine
 */

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const [{ custodianSummary: s }, { rows }] = await Promise.all([
    gql(SUMMARY, {}, { signal: ctx.signal }),
    all(async (after) => (await gql(MINE, { after }, { signal: ctx.signal })).listings),
  ]);
  /** @type {Mine[]} */
  const mine = rows;
  const byListing = new Map(s.listings.map((/** @type {any} */ l) => [l.listing, l]));
  const title = 'Your datasets';
  const actions = linkButton('List a dataset', '/custodian/new', 'main');
  if (mine.length === 0) {
    return {
      title, crumbs: [{ label: 'Custodian' }],
      node: h('div', null, heading(title, { lead: 'Encrypt a table here, in this browser, and sell answers about it. The table itself is never sold, sent or shown.', actions }),
        empty('Nothing is listed yet', 'A CSV or Parquet file becomes an encrypted listing in a few minutes: the file and its key stay on this machine.', linkButton('List a dataset', '/custodian/new', 'main'))),
    };
  }
  const days = filled(s.perDay);
  const published = mine.filter((l) => l.state === 'published').length;
  return {
    title, crumbs: [{ label: 'Custodian' }],
    node: h('div', { class: 'stack-large' },
      heading(title, { lead: 'Every query made, every value revealed, what is left and what it earned.', actions }),
      figures(
        figure('Earned', credits(s.earned), h('a', { href: '/balance' }, 'Balance and withdrawal')),
        figure('Orders delivered', count(s.orders)),
        figure('Values revealed', count(s.revealed)),
        figure('Published', count(published), `of ${count(mine.length)} listings`)),
      days.length > 0
        ? section('Day by day', h('div', { class: 'two' },
          line({ title: 'Earned (credits a day)', series: [{ label: 'Earned', points: days.map((d) => ({ x: d.at, y: d.earned })) }], x: day, y: (v) => money(Math.round(v * 100)), xName: 'Day', area: true }),
          line({ title: 'Values revealed a day', series: [{ label: 'Values', points: days.map((d) => ({ x: d.at, y: d.values })) }], x: day, xName: 'Day', step: true })))
        : null,
      section('Listings', table({
        caption: 'Your listings', rows: mine,
        columns: [
          { label: 'Title', head: true, cell: (l) => h('a', { href: `/custodian/listings/${l.id}` }, l.title) },
          { label: 'State', cell: (l) => [badge(l.state), l.state === 'rejected' && l.reason ? h('p', { class: 'small quiet' }, l.reason) : null] },
          { label: 'Orders', numeric: true, cell: (l) => count(byListing.get(l.id)?.orders ?? '0') },
          { label: 'Values revealed', numeric: true, cell: (l) => count(l.reveals?.values ?? '0') },
          { label: 'Values left', numeric: true, cell: (l) => (l.reveals ? count(l.reveals.valuesLeft) : '–') },
          { label: 'Earned', numeric: true, cell: (l) => credits(byListing.get(l.id)?.earned ?? '0') },
        ],
      })),
      published > 0 ? section('What is left to reveal', h('div', { class: 'plots' }, mine.filter((l) => l.state === 'published' || l.state === 'paused').map((l) => quotaMeter(l.reveals, null, l.title)))) : null,
      s.listings.length > 1 ? section('Earned by listing', bars({ title: 'Earned by listing (credits)', caption: false, items: mine.map((l) => ({ label: l.title, value: Number(byListing.get(l.id)?.earned ?? 0) / 100 })).filter((i) => i.value > 0), format: (v) => money(Math.round(v * 100)), what: 'Credits' })) : null),
  };
}
