// @ts-check
/**
 * The audit log. The server checks its whole chain; this page holds each record
 * that it shows to the one before, and the head to the one noted at the last
 * visit: whoever runs the database cannot rewrite what an auditor has noted.
 */
import { gql } from '../../lib/api.js';
import { count, h, put, when } from '../../lib/dom.js';
import { button, copyButton, details, empty, field, hash, mark, note, section, table, toast } from '../../lib/ui.js';
import { broken } from '../parts/figures.js';
import { exportButton, staffPage } from '../parts/staff.js';

/** @typedef {{sequence: string, at: string, actor: string, action: string, subject: string, details: string, previous: string, digest: string}} Entry */

const CHECK = '{ marketplace { id } auditCheck { intact length head failure } }';
const AUDIT = `query Audit($first: Int!, $after: String) { audit(first: $first, after: $after) {
  nodes { sequence at actor action subject details previous digest } pageInfo { hasNextPage endCursor } } }`;

/** Records fetched at once, and shown. */
const BATCH = 100;

/** `kind:id`, the id shortened. @param {string} text */
function named(text) {
  const at = text.indexOf(':');
  return at < 0 ? text : [`${text.slice(0, at)} `, hash(text.slice(at + 1), 8)];
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const { auditCheck: check, marketplace } = await gql(CHECK, {}, { signal: ctx.signal });
  const place = `veilbourse-audit-${marketplace.id}`;
  /** @type {{sequence: string, digest: string, at: number} | null} */
  let noted = null;
  try {
    noted = JSON.parse(localStorage.getItem(place) ?? 'null');
  } catch { /* nothing readable is nothing noted */ }

  const filter = field({ label: 'Show only', name: 'filter', type: 'search', hideLabel: true, placeholder: 'Action, subject or actor', oninput: () => draw() });
  const list = h('div');
  const links = h('p', { 'aria-live': 'polite' });
  const compared = h('div', { 'aria-live': 'polite' });
  /** @type {Entry[]} */
  const entries = [];
  /** @type {string | null} */
  let cursor = null;
  let whole = false;

  const draw = () => {
    const word = filter.value().toLowerCase();
    const rows = entries.filter((e) => !word || `${e.action} ${e.subject} ${e.actor}`.toLowerCase().includes(word)).slice(-200).reverse();
    put(list, table({
      caption: 'Audit records, newest first', dense: true, rows,
      empty: empty('No record', word ? 'None of the records that are loaded has these words.' : 'Nothing has happened yet.'),
      columns: [
        { label: 'Number', head: true, cell: (e) => count(e.sequence) },
        { label: 'When', cell: (e) => when(e.at) },
        { label: 'Action', cell: (e) => h('code', null, e.action) },
        { label: 'Subject', cell: (e) => named(e.subject) },
        { label: 'Actor', cell: (e) => named(e.actor) },
        { label: 'Details', cell: (e) => (e.details === '{}' ? '' : details('Details', h('pre', null, pretty(e.details)))) },
        { label: 'Digest', cell: (e) => hash(e.digest, 8) },
      ],
    }));
    const at = broken(entries);
    put(links, entries.length === 0 ? null : mark(at === null, at === null ? `${count(entries.length)} records loaded here: each names the digest of the one before` : `Record ${at} does not name the digest of the one before`));
  };

  /** @param {number} batches */
  const load = async (batches) => {
    for (let i = 0; i < batches && !whole; i += 1) {
      const page = (await gql(AUDIT, { first: BATCH, after: cursor }, { signal: ctx.signal })).audit;
      entries.push(...page.nodes);
      whole = !page.pageInfo.hasNextPage || page.pageInfo.endCursor === cursor;
      cursor = page.pageInfo.endCursor;
    }
    draw();
    compare();
  };

  const compare = () => {
    if (!noted) {
      put(compared, note('plain', 'No head was noted in this browser yet. Note it now, and the next visit shows whether anything before it was rewritten.'));
      return;
    }
    const found = entries.find((e) => e.sequence === noted?.sequence);
    put(compared, found
      ? (found.digest === noted.digest
        ? note('good', 'The record ', count(noted.sequence), ' that was noted ', when(noted.at), ' is still the same: nothing up to it was rewritten.')
        : note('bad', h('strong', null, `Record ${noted.sequence} is another one than was noted.`), ' That is proof of a rewrite.'))
      : whole
        ? note('bad', h('strong', null, `Record ${noted.sequence}, which was noted, is gone.`), ' That is proof of a rewrite.')
        : note('plain', `Record ${noted.sequence} was noted; load more records to compare it.`));
  };

  await load(10);
  return staffPage({
    title: 'Audit log',
    lead: 'Who did what. Each record holds the digest of the one before.',
    actions: exportButton('Download (JSONL)', 'audit.jsonl'),
    body: h('div', { class: 'stack-large' },
      section('Chain', h('div', { class: 'stack' },
        h('p', null, mark(check.intact, check.intact ? `The server recomputed all ${count(check.length)} records: the chain is whole` : `The chain is damaged: ${check.failure}`)), links,
        check.head ? h('p', null, 'Head: record ', count(check.length), ', ', hash(check.head, 24), ' ', copyButton(`${check.length} ${check.head}`, 'Copy both')) : null,
        compared),
      {
        actions: check.head ? button('Note this head', () => {
          noted = { sequence: check.length, digest: check.head, at: Date.now() };
          localStorage.setItem(place, JSON.stringify(noted));
          toast('Noted in this browser. Write it down elsewhere too.', 'good');
          compare();
        }) : null,
      }),
      section('Records', h('div', { class: 'stack' }, filter.node, list,
        h('div', { class: 'more' }, button('Load more', async () => {
          if (whole) toast('All records are loaded.');
          else await load(10);
        }))))),
  });
}
