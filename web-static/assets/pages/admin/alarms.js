// @ts-check
/** What needs somebody: from the state of the market, asked again every minute. */
import { gql } from '../../lib/api.js';
import { h, put, when } from '../../lib/dom.js';
import { badge, empty, failure, table } from '../../lib/ui.js';
import { staffPage } from '../parts/staff.js';

/** @typedef {{code: string, severity: string, at: string, subject: string, message: string}} Alarm */

const QUERY = '{ alarms { code severity at subject message } }';
const AGAIN = 60_000;
const ORDER = ['critical', 'warning', 'info'];

/** Where something can be done about it. @param {string} subject `kind:id` */
function place(subject) {
  const [kind, id] = [subject.split(':')[0], subject.slice(subject.indexOf(':') + 1)];
  switch (kind) {
    case 'order': return `/orders/${id}`;
    case 'listing': return `/admin/review/${id}`;
    case 'ledger': return '/admin/ledger';
    case 'audit': return '/admin/audit';
    case 'mail': case 'mails': return '/admin/mails';
    case 'machine': case 'pod': case 'node': return '/admin/machines';
    default: return null;
  }
}

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const box = h('div', { 'aria-live': 'polite' });
  const at = h('p', { class: 'small quiet' });
  /** @param {Alarm[]} alarms */
  const draw = (alarms) => {
    const rows = [...alarms].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || Number(b.at) - Number(a.at));
    put(at, 'Looked at ', when(Date.now()), '; again every minute.');
    put(box, table({
      caption: 'Alarms', rows, empty: empty('No alarm', 'Ledger and audit log hold, machines answer, nothing is near its deadline, mail goes out.'),
      columns: [
        { label: 'Severity', head: true, cell: (a) => badge(a.severity) },
        { label: 'What', cell: (a) => a.message },
        { label: 'About', cell: (a) => {
          const href = place(a.subject);
          return href ? h('a', { href }, a.subject) : h('span', { class: 'mono small' }, a.subject);
        } },
        { label: 'Since', cell: (a) => when(a.at, { relative: true }) },
        { label: 'Code', cell: (a) => h('code', null, a.code) },
      ],
    }));
  };
  const look = async () => {
    try {
      draw((await gql(QUERY, {}, { signal: ctx.signal, quiet: true })).alarms);
    } catch (e) {
      if (!ctx.signal.aborted) put(box, failure(e, () => void look()));
    }
  };
  draw((await gql(QUERY, {}, { signal: ctx.signal })).alarms);
  const timer = setInterval(() => {
    if (!document.hidden) void look();
  }, AGAIN);
  ctx.signal.addEventListener('abort', () => clearInterval(timer));
  return staffPage({ title: 'Alarms', lead: 'From real states, none from a counter that somebody resets.', body: h('div', { class: 'stack' }, box, at) });
}
