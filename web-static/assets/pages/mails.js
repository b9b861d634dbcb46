// @ts-check
/** Letters: one's own, and those of the local folder where no mail server is set. */
import { ApiError, download, gql } from '../lib/api.js';
import { h, put, when, words } from '../lib/dom.js';
import { session } from '../lib/session.js';
import { badge, button, dialog, empty, failure, field, form, heading, loading, note, pages, section, table } from '../lib/ui.js';

const OWN = 'query($after: String) { sentMails(first: 20, after: $after) { nodes { id kind address subject createdAt state sentAt } pageInfo { hasNextPage endCursor } } }';
const LOCAL = 'query($address: String!) { localMails(address: $address) { id kind subject createdAt text } }';

/** Most looks, a second apart, for a letter that is on its way. */
const LOOKS = 15;

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const who = session();
  const address = field({ label: 'Mail address', name: 'address', type: 'email', required: true, autocomplete: 'email', value: ctx.query.get('address') ?? who?.mail ?? '' });
  const found = h('div', { 'aria-live': 'polite' });
  /** @param {number} [again] how often to look once more: a letter takes a moment to be written */
  const look = async (again = 0) => {
    if (again === 0) put(found, loading('Looking', 2));
    try {
      const all = (await gql(LOCAL, { address: address.value() }, { signal: ctx.signal, quiet: true })).localMails;
      if (all.length === 0 && again < LOOKS) setTimeout(() => void look(again + 1), 1_000);
      if (all.length > 0 || again === 0) put(found, list('Letters on this machine', all, empty('No letters', `Nothing lies in the folder for ${address.value()}.`)));
    } catch (e) {
      if (ctx.signal.aborted) return;
      if (e instanceof ApiError && (e.code === 'NOT_FOUND' || e.code === 'FORBIDDEN' || e.code === 'UNAUTHENTICATED')) {
        put(found, note('plain', h('p', null, 'This marketplace sends its letters by a mail server, or you are not on its own machine: look into your mailbox.')));
      } else put(found, failure(e, () => void look()));
    }
  };
  if (address.value()) void look();
  const f = form({ fields: [address], submit: 'Show letters', onsubmit: () => look() });
  return {
    title: 'Letters',
    node: h('div', null, heading('Letters', { lead: 'What the marketplace wrote to you.' }),
      section('On this machine', h('div', { class: 'stack' }, h('div', { class: 'card' }, f.node), found), { lead: 'A marketplace that was started without a mail server keeps its letters in a folder and shows them here, to visitors of the same machine only.' }),
      who ? section('Sent to you', pages({
        what: 'Loading letters',
        fetch: async (after) => (await gql(OWN, { after }, { signal: ctx.signal })).sentMails,
        show: (rows) => list('Letters sent', rows, empty('No letters yet', 'Letters about your orders, listings and account will be listed here.')),
      }).node) : null),
  };
}

/**
 * @param {string} caption
 * @param {any[]} rows
 * @param {Node} none
 */
function list(caption, rows, none) {
  return table({
    caption, rows, empty: none,
    columns: [
      { label: 'Subject', head: true, cell: (m) => m.subject },
      { label: 'About', cell: (m) => words(m.kind) },
      { label: 'Written', cell: (m) => when(m.createdAt) },
      ...(rows[0]?.state ? [{ label: 'State', cell: (/** @type {any} */ m) => badge(m.state) }] : []),
      { label: '', name: '', cell: (m) => button('Read', () => read(m), { kind: 'quiet' }) },
    ],
  });
}

/** @param {any} m */
async function read(m) {
  const text = m.text ?? await (await download(`/v1/mails/${m.id}/preview.txt`)).text();
  // Links are live where they lead here; the rest stays text. A sentence's full
  // stop is none of a link's.
  /** @type {string[]} */
  const parts = text.split(/(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)])/);
  dialog({
    title: m.subject, wide: true,
    body: h('pre', { class: 'letter' }, parts.map((p) => {
      if (!/^https?:\/\//.test(p) || !URL.canParse(p)) return p;
      const to = new URL(p);
      return h('a', { href: ours(to) ? to.pathname + to.search + to.hash : p, rel: 'noreferrer' }, p);
    })),
  });
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Whether a link leads to this marketplace. @param {URL} to */
function ours(to) {
  return to.origin === location.origin || (to.port === location.port && LOOPBACK.includes(to.hostname) && LOOPBACK.includes(location.hostname));
}
