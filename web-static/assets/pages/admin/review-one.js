// @ts-check
/** One listing under review: everything to look at before it is decided. */
import { gql } from '../../lib/api.js';
import { count, h, plural, real, when } from '../../lib/dom.js';
import { badge, button, facts, figure, figures, hash, later, linkButton, note, section, table, toast } from '../../lib/ui.js';
import { concerns, policyWords } from '../parts/policy.js';
import { ticketMeters } from '../parts/reveals.js';
import { timeline } from '../parts/reviews.js';
import { mayAct, staffPage, withReason } from '../parts/staff.js';
import { twinPlots } from '../parts/twin.js';

const LISTING = `query UnderReview($id: String!) { listing(id: $id) {
  id title description state reason dataset owner ownerName createdAt updatedAt policy
  reviews { at by decision reason } objects { name length offset digest } } }`;
const MANIFEST = 'query ReviewManifest($id: String!) { listing(id: $id) { manifest } }';
const TICKETS = `query ReviewTickets($id: String!) { listing(id: $id) { tickets { rhoLimit rhoDealt epsilonDealt delta
  classes { digest name offered law noiseDeviation sensitivity rhoPerTicket dealt spent left largestOrder } dealings { quorum state count } } } }`;
const NODES = '{ keyNodes { id name signingKey } }';
const REVIEW = `mutation Review($id: String!, $d: ReviewDecision!, $reason: String!, $seen: String) {
  reviewListing(id: $id, decision: $d, reason: $reason, seen: $seen) { id state } }`;

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const id = ctx.params.id ?? '';
  const options = { signal: ctx.signal };
  const [{ listing: l }, { listing: { manifest } }] = await Promise.all([gql(LISTING, { id }, options), gql(MANIFEST, { id }, options)]);
  const committee = l.policy?.body.openers.custody === 'committee';
  const [tickets, nodes] = committee
    ? await Promise.all([gql(TICKETS, { id }, options).then((d) => d.listing.tickets), gql(NODES, {}, options).then((d) => d.keyNodes)])
    : [null, []];

  /** @param {'APPROVE' | 'REJECT'} decision */
  const decide = async (decision) => {
    const approve = decision === 'APPROVE';
    const done = await withReason({
      title: approve ? `Publish “${l.title}”?` : `Reject “${l.title}”?`,
      lead: approve ? 'It appears in the catalogue at once, and buyers may order from it.' : 'The custodian reads the reason, may sign a changed policy, or appeal.',
      submit: approve ? 'Publish' : 'Reject', danger: !approve, required: !approve,
      act: (reason) => gql(REVIEW, { id, d: decision, reason, seen: l.updatedAt }),
    });
    if (!done) return;
    toast(approve ? 'Published.' : 'Rejected; the custodian is told why.', 'good');
    ctx.go('/admin/review');
  };

  const rows = manifest.segments.reduce((/** @type {number} */ n, /** @type {any} */ s) => n + Number(s.rows), 0);
  const own = manifest.columns.filter((/** @type {any} */ c) => c.kind.kind === 'numeric' || c.kind.kind === 'category');
  const known = new Map(nodes.map((/** @type {any} */ n) => [n.signingKey, n.name]));
  const asked = concerns(l.policy, manifest);
  const incomplete = (l.objects ?? []).filter((/** @type {any} */ o) => o.offset !== o.length);
  const decided = l.state !== 'submitted';
  const appeal = [...l.reviews].reverse().find((/** @type {any} */ r) => r.decision === 'appealed');

  return staffPage({
    title: l.title, at: '/admin/review/x',
    lead: ['by ', h('strong', null, l.ownerName), ', handed in ', when(l.updatedAt)],
    actions: !decided && mayAct()
      ? [button('Publish', () => decide('APPROVE'), { kind: 'main' }), button('Reject', () => decide('REJECT'), { kind: 'danger' })]
      : l.state === 'published' ? linkButton('As buyers see it', `/listings/${id}`) : badge(l.state),
    body: h('div', { class: 'stack-large' },
      decided ? note('plain', 'This listing is ', badge(l.state), '. What follows is what was looked at.') : null,
      appeal && !decided ? note('warn', h('p', null, h('strong', null, 'Appeal: '), appeal.reason)) : null,
      asked.length > 0 ? note('warn', h('p', null, h('strong', null, 'Look twice')), h('ul', null, asked.map((c) => h('li', null, c)))) : note('good', 'The policy has nothing unusual: aggregates alone, noise or a committee, a quota below the number of rows.'),
      section('Description', h('p', { class: 'prose' }, l.description || 'None was given.'), { lead: 'All of it becomes public: no names of people, nothing that the custodian would regret.' }),
      figures(
        figure('Rows', count(rows), plural(manifest.segments.length, 'segment')),
        figure('Columns', count(own.length), manifest.columns.length > own.length ? `and ${count(manifest.columns.length - own.length)} second moments` : null),
        figure('Objects', count((l.objects ?? []).length), incomplete.length === 0 ? 'all complete' : `${count(incomplete.length)} incomplete`)),
      section('Policy', policyWords(l.policy)),
      committee ? section('Key nodes', h('div', { class: 'stack' },
        table({
          caption: 'Nodes of the committee', dense: true, rows: l.policy.body.openers.nodes,
          columns: [
            { label: 'Number', head: true, cell: (_, i) => String(i) },
            { label: 'Node', cell: (k) => known.get(k) ?? h('strong', null, 'not an approved node of this marketplace') },
            { label: 'Signing key', cell: (/** @type {string} */ k) => hash(k, 20) },
          ],
        }),
        ticketMeters(tickets))) : null,
      section('Columns', table({
        caption: 'Columns of the manifest', dense: true, rows: own,
        columns: [
          { label: 'Column', head: true, cell: (/** @type {any} */ c) => c.name },
          { label: 'Kind', cell: (c) => (c.kind.kind === 'category' ? `category of ${c.kind.source}` : 'number') },
          { label: 'Unit', cell: (c) => c.unit },
          { label: 'Range', numeric: true, cell: (c) => `${real(Number(c.min) / 2 ** c.scale_log2)} to ${real(Number(c.max) / 2 ** c.scale_log2)}` },
        ],
      })),
      section('Segments', table({
        caption: 'Rows of each segment', dense: true, rows: manifest.segments,
        columns: [{ label: 'Segment', head: true, cell: (/** @type {any} */ s) => s.label }, { label: 'Rows', numeric: true, cell: (s) => count(s.rows) }],
      })),
      section('Synthetic twin', later(() => twinPlots(id, manifest, ctx.signal), 'The twin').node),
      section('History', timeline(l.reviews)),
      section('Identity', facts([['Listing', hash(l.id, 36)], ['Custodian', hash(l.owner, 36)], ['Dataset root', hash(l.dataset, 24)], ['Policy signed by', l.policy ? hash(l.policy.key, 24) : 'nobody']]))),
  });
}
