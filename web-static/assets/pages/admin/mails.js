// @ts-check
/** Letters: what was sent, what waits, what failed. */
import { gql } from '../../lib/api.js';
import { h, when, words } from '../../lib/dom.js';
import { badge, button, empty, pages, table, toast } from '../../lib/ui.js';
import { mayAct, staffPage } from '../parts/staff.js';

const QUERY = `query Mails($after: String) { sentMails(all: true, first: 25, after: $after) {
  nodes { id kind address subject createdAt state attempts error sentAt } pageInfo { hasNextPage endCursor } } }`;

const RETRY = 'mutation RetryMail($id: String!) { retryMail(id: $id) { id state } }';
const DISMISS = 'mutation DismissMail($id: String!) { dismissMail(id: $id) { id state } }';

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const view = pages({
    what: 'Letters',
    fetch: async (after) => (await gql(QUERY, { after }, { signal: ctx.signal })).sentMails,
    show: (/** @type {any[]} */ rows) => table({
      caption: 'Letters, newest first', rows, empty: empty('No letter yet', 'Letters are written when accounts, listings and orders change.'),
      columns: [
        { label: 'Subject', head: true, cell: (m) => [m.subject, h('p', { class: 'small quiet' }, words(m.kind))] },
        { label: 'To', cell: (m) => m.address },
        { label: 'State', cell: (m) => [badge(m.state), m.error ? h('p', { class: 'small quiet' }, m.error) : null] },
        { label: 'Attempts', numeric: true, cell: (m) => String(m.attempts) },
        { label: 'Written', cell: (m) => [when(m.createdAt), m.sentAt ? h('p', { class: 'small quiet' }, 'sent ', when(m.sentAt, { relative: true })) : null] },
        ...(mayAct() ? [{ label: h('span', { class: 'hidden' }, 'Acts'), name: 'Acts', cell: (/** @type {any} */ m) => (['failed', 'unknown'].includes(m.state) ? h('div', { class: 'actions' }, act(m, RETRY, 'Send again'), act(m, DISMISS, 'Dismiss')) : null) }] : []),
      ],
    }),
  });
  /** @param {any} m @param {string} document @param {string} label */
  const act = (m, document, label) => button(label, async () => {
    await gql(document, { id: m.id });
    toast(`${label}: done.`, 'good');
    await view.reload();
  });
  return staffPage({
    title: 'Mails', lead: 'What has failed is tried again by itself for a while; then it waits for somebody here.',
    actions: button('Look again', () => view.reload()), body: view.node,
  });
}
