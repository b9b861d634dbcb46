// @ts-check
/** Listings that wait for review, oldest first. */
import { gql } from '../../lib/api.js';
import { h, plural, when } from '../../lib/dom.js';
import { empty, pages, tag } from '../../lib/ui.js';
import { staffPage } from '../parts/staff.js';

const QUERY = `query ReviewQueue($after: String) { reviewQueue(first: 25, after: $after) {
  nodes { id title description ownerName createdAt updatedAt priceOrder reviews { decision } } pageInfo { hasNextPage endCursor } } }`;

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  return staffPage({
    title: 'Review', at: '/admin/review',
    lead: 'Submitted listings. Every commitment is recomputed already; nothing shows that the data are true: know the custodian.',
    body: pages({
      what: 'The queue',
      fetch: async (after) => (await gql(QUERY, { after }, { signal: ctx.signal })).reviewQueue,
      show: (/** @type {any[]} */ rows) => (rows.length === 0
        ? empty('Nothing waits for review', 'A listing appears here when its custodian hands it in.')
        : h('ul', { class: 'cards' }, rows.map((l) => h('li', { class: 'entry' },
          h('h2', null, h('a', { href: `/admin/review/${l.id}` }, l.title)),
          h('p', { class: 'clamp' }, l.description),
          h('p', { class: 'meta' }, h('span', null, 'by ', h('strong', null, l.ownerName)), h('span', null, 'handed in ', when(l.updatedAt, { relative: true })),
            l.reviews.some((/** @type {any} */ r) => r.decision === 'appealed') ? tag('appeal') : l.reviews.some((/** @type {any} */ r) => r.decision === 'rejected') ? tag(plural(l.reviews.filter((/** @type {any} */ r) => r.decision === 'rejected').length, 'earlier rejection')) : tag('new')))))),
    }).node,
  });
}
