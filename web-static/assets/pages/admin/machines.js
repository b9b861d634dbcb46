// @ts-check
/** Pods and key nodes: who runs them, what they do, whether they are admitted. */
import { gql } from '../../lib/api.js';
import { count, credits, h, percent, put, when, words } from '../../lib/dom.js';
import { badge, button, details, empty, facts, failure, hash, note, pages, section, table, tabs, toast } from '../../lib/ui.js';
import { accountNames, mayAct, staffPage, withReason } from '../parts/staff.js';

const MACHINES = `query Machines($kind: MachineRole, $after: String) { machines(kind: $kind, first: 25, after: $after) {
  nodes { id kind operator name signingKey decision reason } pageInfo { hasNextPage endCursor } } }`;
export const WORK = 'query Work($id: String!) { machineWork(id: $id) { lastSeenAt jobsDone jobsFailed earned running { order state stage perMille } } }';

/** How far a job is. @param {{state: string, stage: string, perMille: number}} r */
export function running(r) {
  return r.stage ? `${words(r.stage)}, ${percent(r.perMille / 1000)}` : words(r.state);
}

/**
 * What a machine has done, fetched when it is asked for.
 * @param {string} id
 * @param {AbortSignal} signal
 */
export function work(id, signal) {
  const box = h('div', null, h('p', { class: 'quiet' }, 'Loading…'));
  const d = details('Work', box);
  d.addEventListener('toggle', () => {
    if (!d.open) return;
    gql(WORK, { id }, { signal }).then(({ machineWork: w }) => put(box, facts([
      ['Last heard of', when(w.lastSeenAt, { relative: true })],
      ['Jobs done', count(w.jobsDone)],
      ['Jobs failed', count(w.jobsFailed)],
      ['Earned', credits(w.earned)],
      ['At work on', w.running.length > 0 ? h('ul', { class: 'plain' }, w.running.map((/** @type {any} */ r) => h('li', null, hash(r.order, 13), ` ${running(r)}`))) : 'nothing'],
    ])), (e) => put(box, failure(e)));
  });
  return d;
}

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const names = await accountNames(ctx.signal);
  const { keyNodes } = await gql('{ keyNodes { id name signingKey } }', {}, { signal: ctx.signal });
  /** @param {'POD' | 'NODE'} kind */
  const shown = (kind) => {
    const view = pages({
      what: 'Machines',
      fetch: async (after) => (await gql(MACHINES, { kind, after }, { signal: ctx.signal })).machines,
      show: (/** @type {any[]} */ rows) => table({
        caption: kind === 'POD' ? 'Compute pods' : 'Key nodes', rows,
        empty: empty(kind === 'POD' ? 'No pod' : 'No key node', 'Its operator registers it with `--init`; it appears here to be approved.'),
        columns: [
          { label: 'Name', head: true, cell: (m) => m.name },
          { label: 'Operator', cell: (m) => [names.get(m.operator)?.name ?? m.operator, h('p', { class: 'small quiet' }, names.get(m.operator)?.mail ?? '')] },
          { label: 'Signing key', cell: (m) => hash(m.signingKey, 16) },
          { label: 'Decision', cell: (m) => [badge(m.decision), m.reason ? h('p', { class: 'small quiet' }, m.reason) : null] },
          { label: 'Work', cell: (m) => (m.decision === 'approved' ? work(m.id, ctx.signal) : '') },
          ...(mayAct() ? [{ label: h('span', { class: 'hidden' }, 'Acts'), name: 'Acts', cell: (/** @type {any} */ m) => h('div', { class: 'actions' }, m.decision !== 'approved' ? decide(m, true) : null, m.decision !== 'refused' ? decide(m, false) : null) }] : []),
        ],
      }),
    });
    /** @param {any} m @param {boolean} approve */
    const decide = (m, approve) => button(approve ? 'Approve' : 'Refuse', async () => {
      const done = await withReason({
        title: `${approve ? 'Approve' : 'Refuse'} ${m.name}?`,
        lead: approve
          ? (m.kind === 'pod' ? 'It sees every private model that is sealed to it: know whose it is, and compare its key with them by another way.' : 'It may open results: know whose it is, and compare its key with them by another way.')
          : 'Its tokens end at once. It may be approved again.',
        submit: approve ? 'Approve' : 'Refuse', danger: !approve, required: !approve,
        act: (reason) => gql('mutation($id: String!, $approve: Boolean!, $reason: String!) { decideMachine(id: $id, approve: $approve, reason: $reason) { id decision } }', { id: m.id, approve, reason }),
      });
      if (!done) return;
      toast(approve ? 'Approved.' : 'Refused.', 'good');
      await view.reload();
    }, { kind: approve ? 'main' : '' });
    return view.node;
  };
  return staffPage({
    title: 'Machines', lead: 'Pods evaluate and prove; key nodes check again and open. Both act only while they are approved.',
    body: h('div', { class: 'stack-large' },
      tabs([
        { key: 'pods', label: 'Pods', body: () => shown('POD') },
        { key: 'nodes', label: 'Key nodes', body: () => shown('NODE') },
      ], ctx.query.get('tab') ?? 'pods', undefined, 'Kinds of machines').node,
      section('Able to be in a committee', keyNodes.length > 0
        ? table({ caption: 'Approved key nodes with a sealing key', dense: true, rows: keyNodes, columns: [{ label: 'Name', head: true, cell: (/** @type {any} */ n) => n.name }, { label: 'Signing key', cell: (n) => hash(n.signingKey, 24) }] })
        : note('plain', 'No approved node has a sealing key yet.'))),
  });
}
