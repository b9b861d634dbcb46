// @ts-check
/** What the pages of admins and auditors share. */
import { download, gql, save } from '../../lib/api.js';
import { h } from '../../lib/dom.js';
import { hasRole } from '../../lib/session.js';
import { ask, button, field, heading } from '../../lib/ui.js';

const PLACES = [
  ['Overview', '/admin'], ['Review', '/admin/review'], ['Accounts', '/admin/accounts'], ['Cash', '/admin/cash'], ['Ledger', '/admin/ledger'],
  ['Machines', '/admin/machines'], ['Audit log', '/admin/audit'], ['Alarms', '/admin/alarms'], ['Mails', '/admin/mails'],
];

/** Auditors see what admins see and change nothing. */
export function mayAct() {
  return hasRole('ADMIN');
}

/**
 * A staff page: head, way round, body.
 * @param {{title: string, lead?: import('../../lib/dom.js').Child, actions?: import('../../lib/dom.js').Child, body: import('../../lib/dom.js').Child, at?: string}} o
 * @returns {import('../../lib/router.js').PageView}
 */
export function staffPage(o) {
  const here = o.at ?? location.pathname;
  const root = mayAct() ? 'Admin' : 'Audit';
  return {
    title: o.title,
    crumbs: here === '/admin' ? [{ label: root }] : [{ label: root, href: '/admin' }, { label: o.title }],
    node: h('div', { class: 'aside left staff' },
      h('nav', { 'aria-label': 'Administration', class: 'places' }, h('ul', null, PLACES.map(([label, href]) => h('li', null, h('a', { href, ...(href === here || (href !== '/admin' && here.startsWith(`${href}/`)) ? { 'aria-current': 'page' } : {}) }, label))))),
      h('div', null, heading(o.title, { lead: o.lead, actions: o.actions }), o.body)),
  };
}

/**
 * A download of the exports; auditors have them too.
 * @param {string} label
 * @param {string} file
 */
export function exportButton(label, file) {
  return button(label, async () => save(await download(`/v1/exports/${file}`), file));
}

/** Longest reason that the marketplace takes. */
const REASON = 2000;

/**
 * Asks for a reason and acts; null when closed.
 * @template T
 * @param {{title: string, lead: import('../../lib/dom.js').Child, submit: string, danger?: boolean, required?: boolean, hint?: string, act: (reason: string) => Promise<T>}} o
 */
export function withReason(o) {
  const reason = field({ label: 'Reason', name: 'reason', type: 'textarea', rows: 4, maxlength: REASON, required: o.required ?? true, optional: o.required === false, hint: o.hint ?? 'Its owner reads it, and it is kept in the audit log.' });
  return ask({ title: o.title, lead: h('p', null, o.lead), fields: [reason], submit: o.submit, danger: o.danger ?? false, act: () => o.act(reason.value()) });
}

/**
 * Every node of a connection, page by page, at most so many.
 * @template R
 * @param {(after: string | null) => Promise<{nodes: R[], pageInfo: {hasNextPage: boolean, endCursor: string | null}}>} fetch
 * @param {number} [most]
 */
export async function all(fetch, most = 1000) {
  /** @type {R[]} */
  const out = [];
  let after = null;
  for (;;) {
    const c = await fetch(after);
    out.push(...c.nodes);
    if (!c.pageInfo.hasNextPage || c.pageInfo.endCursor === after || out.length >= most) return { rows: out, more: c.pageInfo.hasNextPage };
    after = c.pageInfo.endCursor;
  }
}

/** Names of accounts, asked once. @param {AbortSignal} signal @returns {Promise<Map<string, {name: string, mail: string}>>} */
export async function accountNames(signal) {
  const { rows } = await all(async (after) => (await gql('query Names($after: String) { accounts(first: 100, after: $after) { nodes { id name mail } pageInfo { hasNextPage endCursor } } }', { after }, { signal })).accounts, 5000);
  return new Map(rows.map((/** @type {any} */ a) => [a.id, a]));
}
