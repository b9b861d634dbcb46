// @ts-check
/**
 * What is on offer. The server searches by text; what the manifests and
 * policies say (columns, rows, custody, query kinds, price) is filtered here.
 */
import { gql } from '../lib/api.js';
import { count, credits, h, parseMoney, plural, put, when } from '../lib/dom.js';
import { assurance, keepShape, keptShape, kindTags, openersOf, priceOf, shapeOf } from '../lib/market.js';
import { hasRole } from '../lib/session.js';
import { announce, badge, button, empty, failure, field, heading, linkButton, loading } from '../lib/ui.js';

const LIST = `query($search: String, $after: String) { listings(search: $search, first: 50, after: $after) {
  nodes { id title description dataset ownerName createdAt state priceOrder priceOutput openers policy reveals { valuesLeft } }
  pageInfo { hasNextPage endCursor } } }`;
/** Most listings that are looked through. */
const MOST = 500;

/** @typedef {import('../lib/market.js').Shape} Shape */
/**
 * @typedef {object} Item
 * @property {any} listing
 * @property {import('../lib/market.js').Openers | null} openers
 * @property {string[]} kinds
 * @property {bigint} price of an order of one value
 * @property {Shape | null} shape
 */

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const q = ctx.query;
  /** @type {Item[]} */
  let items = [];
  /** Each change of the text is a search of its own. */
  let search = 0;
  let more = false;

  const text = field({ label: 'Search', name: 'search', type: 'search', placeholder: 'Title, description', value: q.get('search') ?? '', oninput: () => later('fetch', () => void fetchAll(), 250) });
  const columns = field({ label: 'Has the columns', name: 'columns', type: 'search', placeholder: 'age, income', hint: 'Names or parts of names, by commas.', value: q.get('columns') ?? '', oninput: () => later('show', show, 150) });
  const rows = field({ label: 'At least so many rows', name: 'rows', inputmode: 'numeric', value: q.get('rows') ?? '', check: (v) => (/^\d+$/.test(v) ? null : `“${v}” is no whole number.`), oninput: () => later('show', show, 150) });
  const price = field({ label: 'One value costs at most', name: 'price', inputmode: 'decimal', unit: 'credits', value: q.get('price') ?? '', check: money, oninput: () => later('show', show, 150) });
  const custody = field({ label: 'Results are opened by', name: 'custody', type: 'select', value: q.get('custody') ?? '', options: [{ value: '', label: 'Anybody' }, { value: 'committee', label: 'A committee' }, { value: 'custodian_held', label: 'The custodian' }], onchange: () => show() });
  const kind = field({ label: 'Allows', name: 'kind', type: 'select', value: q.get('kind') ?? '', options: [{ value: '', label: 'Any question' }, { value: 'aggregate_public', label: 'Aggregates' }, { value: 'aggregate_private', label: 'Private models' }, { value: 'rows_public', label: 'Scores of rows' }, { value: 'rows_private', label: 'Scores of rows, private' }], onchange: () => show() });
  const sort = field({ label: 'Sort by', name: 'sort', type: 'select', value: q.get('sort') ?? 'newest', options: [{ value: 'newest', label: 'Newest' }, { value: 'price', label: 'Price' }, { value: 'rows', label: 'Rows' }, { value: 'title', label: 'Title' }], onchange: () => show() });
  const all = [text, columns, rows, price, custody, kind, sort];

  const list = h('div');
  const found = h('p', { class: 'small quiet', role: 'status' });
  /** One timer each: a filter that is typed after the text does not put off its search. @type {Map<string, ReturnType<typeof setTimeout>>} */
  const timers = new Map();
  /** @param {string} what @param {() => void} act @param {number} ms */
  function later(what, act, ms) {
    clearTimeout(timers.get(what));
    timers.set(what, setTimeout(act, ms));
  }

  async function fetchAll() {
    search += 1;
    const mine = search;
    put(list, loading('Loading datasets', 8));
    found.textContent = '';
    try {
      /** @type {Item[]} */
      const got = [];
      /** @type {string | null} */
      let after = null;
      do {
        /** @type {{nodes: any[], pageInfo: {hasNextPage: boolean, endCursor: string}}} */
        const c = (await gql(LIST, { search: text.value() || null, after }, { signal: ctx.signal })).listings;
        if (mine !== search) return;
        got.push(...c.nodes.map(itemOf));
        after = c.pageInfo.hasNextPage ? c.pageInfo.endCursor : null;
        items = got;
        show();
      } while (after && got.length < MOST);
      more = after !== null;
      await fetchShapes(mine);
    } catch (e) {
      if (e instanceof DOMException && e.name === 'AbortError') return;
      if (mine === search) put(list, failure(e, () => void fetchAll()));
    }
  }

  /** Schemas that were not read before, two a request. @param {number} mine */
  async function fetchShapes(mine) {
    const missing = items.filter((i) => !i.shape);
    for (let i = 0; i < missing.length; i += 2) {
      const [a, b] = [missing[i], missing[i + 1]];
      if (!a) break;
      const data = b
        ? await gql('query($a: String!, $b: String!) { a: listing(id: $a) { manifest } b: listing(id: $b) { manifest } }', { a: a.listing.id, b: b.listing.id }, { signal: ctx.signal })
        : await gql('query($a: String!) { a: listing(id: $a) { manifest } }', { a: a.listing.id }, { signal: ctx.signal });
      if (mine !== search) return;
      for (const [item, part] of /** @type {[Item | undefined, any][]} */ ([[a, data.a], [b, data.b]])) {
        if (!item || !part) continue;
        item.shape = shapeOf(part.manifest);
        keepShape(item.listing.dataset, item.shape);
      }
      show();
    }
  }

  function show() {
    for (const f of [rows, price]) f.valid();
    const url = new URLSearchParams();
    for (const f of all) if (f.value() && !(f === sort && f.value() === 'newest')) url.set(f.name, f.value());
    history.replaceState(history.state, '', url.size ? `${location.pathname}?${url}` : location.pathname);
    const names = columns.value().toLowerCase().split(',').map((x) => x.trim()).filter(Boolean);
    const least = /^\d+$/.test(rows.value()) ? BigInt(rows.value()) : 0n;
    const most = price.value() && money(price.value()) === null ? parseMoney(price.value()) : null;
    const fits = items.filter((i) => (!custody.value() || i.openers?.custody === custody.value())
      && (!kind.value() || i.kinds.includes(kind.value()))
      && (most === null || i.price <= most)
      && (least === 0n || (i.shape !== null && BigInt(i.shape.rows) >= least))
      && names.every((n) => i.shape?.columns.some((c) => c.name.toLowerCase().includes(n)) || i.shape?.keys.some((k) => k.toLowerCase().includes(n))));
    fits.sort((a, b) => {
      if (sort.value() === 'price') return Number(a.price - b.price);
      if (sort.value() === 'rows') return Number(BigInt(b.shape?.rows ?? '0') - BigInt(a.shape?.rows ?? '0'));
      if (sort.value() === 'title') return String(a.listing.title).localeCompare(String(b.listing.title));
      return Number(b.listing.createdAt) - Number(a.listing.createdAt);
    });
    const unread = items.filter((i) => !i.shape).length;
    found.textContent = `${plural(fits.length, 'dataset')}${fits.length < items.length ? ` of ${items.length}` : ''}${more ? `; the newest ${MOST} were looked through, search by text for others` : ''}${unread ? `; reading ${plural(unread, 'schema')}…` : ''}`;
    put(list, fits.length
      ? h('ul', { class: 'cards' }, fits.map((i) => h('li', null, entry(i))))
      : items.length
        ? empty('Nothing fits', 'No dataset passes all filters.', button('Clear the filters', () => {
          for (const f of all) f.input.value = f === sort ? 'newest' : '';
          void fetchAll();
        }))
        : empty(text.value() ? 'Nothing found' : 'Nothing is listed yet', text.value() ? 'No title or description has these words.' : 'Datasets appear here when an admin has published them.', hasRole('CUSTODIAN') ? linkButton('List a dataset', '/custodian/new', 'main') : null));
    announce(found.textContent);
  }

  void fetchAll();
  return {
    title: 'Datasets',
    crumbs: [{ label: 'Datasets' }],
    node: h('div', null,
      heading('Datasets', { lead: 'Encrypted tables to ask questions of. Their schema and a synthetic twin are public; their rows are nobody’s.', actions: hasRole('CUSTODIAN') ? linkButton('List a dataset', '/custodian/new') : null }),
      h('div', { class: 'aside left' },
        h('form', { class: 'filters', role: 'search', 'aria-label': 'Datasets', onsubmit: (/** @type {Event} */ e) => e.preventDefault() }, text.node, h('details', { class: 'filter-more', open: matchMedia('(min-width: 60rem)').matches || [...q.keys()].some((k) => k !== 'search' && k !== 'sort') }, h('summary', null, 'Filters'), h('div', { class: 'filters body' }, columns.node, rows.node, price.node, custody.node, kind.node, sort.node))),
        h('div', { class: 'stack' }, found, list))),
    leave: () => timers.forEach((t) => clearTimeout(t)),
  };
}

/** @param {string} v */
function money(v) {
  try {
    parseMoney(v);
    return null;
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
}

/** @param {any} l @returns {Item} */
function itemOf(l) {
  return {
    listing: l, openers: openersOf(l.openers), kinds: l.policy?.body.kinds ?? [],
    price: l.priceOrder ? priceOf(l.priceOrder, l.priceOutput, 1) : 0n, shape: keptShape(l.dataset),
  };
}

/** @param {Item} i */
function entry(i) {
  const l = i.listing;
  const s = i.shape;
  const plain = s?.columns.filter((c) => c.kind === 'numeric' || c.kind === 'category') ?? [];
  return h('article', { class: 'entry' },
    h('div', { class: 'row spread' }, h('h2', null, h('a', { href: `/listings/${l.id}` }, l.title)), l.state === 'published' ? null : badge(l.state)),
    h('p', { class: 'quiet clamp' }, l.description),
    h('p', { class: 'meta' }, h('span', null, 'by ', h('strong', null, l.ownerName)),
      s ? [h('span', null, h('strong', null, count(s.rows)), ' rows'), h('span', null, h('strong', null, s.columns.length), ' columns'), h('span', null, h('strong', null, s.segments.length), s.segments.length === 1 ? ' segment' : ' segments')] : h('span', null, 'reading the schema…'),
      l.priceOrder ? h('span', null, h('strong', null, credits(l.priceOrder)), ' an order, ', h('strong', null, credits(l.priceOutput)), ' a value') : null,
      l.reveals ? h('span', null, h('strong', null, count(l.reveals.valuesLeft)), ' values left') : null,
      h('span', null, 'listed ', when(l.createdAt, { relative: true }))),
    plain.length ? h('p', { class: 'small mono clamp' }, plain.slice(0, 12).map((c) => c.name).join(', '), plain.length > 12 ? ` and ${plain.length - 12} more` : '') : null,
    h('div', { class: 'tags' }, kindTags(i.kinds), assurance(i.openers, l.policy?.body.min_class)));
}
