// @ts-check
/** Who opens results, and under which tickets. */
import { gql } from '../../lib/api.js';
import { count, h, plural, put, real } from '../../lib/dom.js';
import { details, drop, field, hash, note, toast } from '../../lib/ui.js';
import { choose } from '../parts/figures.js';

/**
 * @typedef {import('../../core/core.js').Core} Core
 * @typedef {import('../../core/core.js').TicketClassAsk} TicketClassAsk
 * @typedef {{name: string, threshold: number, nodes: {name: string, signingKey: string}[], file: object}} Committee
 * @typedef {{by: 'committee', name: string, committee: object, quorums: number} | {by: 'custodian', key: string}} Opener
 * @typedef {{opener: Opener, classes: TicketClassAsk[], rhoLimit: string | null}} Opening
 */

/** Tickets a quorum where nothing else is said. */
const TICKETS = 2048;

/** @param {AbortSignal} signal @returns {Promise<Committee[]>} */
export async function committees(signal) {
  return (await gql('{ committees { name threshold nodes { name signingKey } file } }', {}, { signal })).committees;
}

/** @param {Committee} c */
function described(c) {
  return `${c.name}: any ${c.threshold} of ${c.nodes.length} nodes (${c.nodes.map((n) => n.name).join(', ')})`;
}

/**
 * @param {{core: Core, id: string, found: Committee[], before: Opening | null}} o
 */
export function openingForm({ core, id, found, before }) {
  /** @type {Committee[]} */
  const known = [...found];
  if (before?.opener.by === 'committee' && !known.some((c) => c.name === (/** @type {any} */ (before.opener)).name)) {
    const f = /** @type {any} */ (before.opener.committee);
    known.push({ name: before.opener.name, threshold: f.threshold, nodes: f.nodes.map((/** @type {any} */ n) => ({ name: n.name, signingKey: n.signing_key })), file: f });
  }
  const held = before?.opener.by === 'custodian';
  const who = field({
    label: 'Who opens results', name: 'openers', type: 'select', value: held ? 'custodian' : before?.opener.by === 'committee' ? before.opener.name : known[0]?.name ?? 'custodian',
    options: [...known.map((c) => ({ value: c.name, label: `Committee ${described(c)}` })), { value: 'custodian', label: 'My own key node: then I learn every result, and quotes say so' }],
  });
  const key = field({ label: 'Signing key of your key node', name: 'node_key', mono: true, value: before?.opener.by === 'custodian' ? before.opener.key : '', required: true, spellcheck: false, hint: '64 hex digits, as the node printed it. An admin must have approved it.', check: (v) => (/^[0-9a-f]{64}$/.test(v) ? null : '64 lower-case hex digits.') });
  const nodes = h('div');
  const file = details('Another committee’s file', drop({
    label: 'Choose committee.json', accept: '.json,application/json',
    hint: 'As `veilbourse committee make` wrote it; compare the keys with its operators by another way.',
    async onfile(f) {
      const parsed = JSON.parse(await f.text());
      const c = await core.checkCommittee(parsed);
      known.push({ name: f.name, threshold: c.threshold, nodes: c.nodes.map((n) => ({ name: n.name, signingKey: n.key })), file: parsed });
      who.input.append(h('option', { value: f.name }, `Committee ${f.name}: any ${c.threshold} of ${c.nodes.length} nodes`));
      who.input.value = f.name;
      toast('Committee taken.', 'good');
      draw();
    },
  }));
  const first = before?.classes[0];
  const noisy = Boolean(first?.rho || first?.epsilon);
  const noise = field({
    label: 'Results', name: 'noise', type: 'radio', value: noisy ? 'noisy' : 'exact',
    options: [
      { value: 'exact', label: 'Exact', hint: 'Bounded by quota and cohort alone.' },
      { value: 'noisy', label: 'With noise (differential privacy)', hint: 'Each value costs a part of a privacy budget; when it is spent, nothing more is opened.' },
    ],
    onchange: () => draw(),
  });
  const tickets = field({ label: 'Opening tickets for each quorum', name: 'tickets', value: String(first?.tickets ?? TICKETS), inputmode: 'numeric', required: true, hint: 'One is spent for each value. More can be dealt later.', check: (v) => (/^\d{1,6}$/.test(v) && Number(v) > 0 ? null : 'A whole number from 1 to 999,999.') });
  const rho = field({ label: 'Cost of each value', name: 'rho', value: first?.rho ?? '0.001', inputmode: 'decimal', unit: 'zCDP', required: true, hint: 'Smaller is more private and noisier.', check: (v) => (/^\d*\.?\d+(e-?\d+)?$|^\d+\/\d+$/.test(v) ? null : 'A number as 0.001 or 1/1000.') });
  const limit = field({ label: 'Most that this dataset may ever cost', name: 'rho_limit', value: before?.rhoLimit ?? '', inputmode: 'decimal', unit: 'zCDP', optional: true, hint: 'The privacy budget. Left empty, it is what these tickets cost together.', check: (v) => (/^\d*\.?\d+$|^\d+\/\d+$/.test(v) ? null : 'A number as 0.5 or 1/2.') });
  const people = field({ label: 'Rows that one person may have', name: 'rows', value: String(first?.rows ?? 1), inputmode: 'numeric', required: true, check: (v) => (/^\d+$/.test(v) && Number(v) > 0 ? null : 'A whole number of at least 1.') });
  const preview = h('div', { 'aria-live': 'polite' });
  const dp = h('div', { class: 'three' }, rho.node, people.node, limit.node);
  const ticketPart = h('div', { class: 'stack' }, tickets.node, noise.node, dp, preview);

  /** @returns {TicketClassAsk[]} */
  const classes = () => (noise.value() === 'noisy'
    ? [{ name: 'private', tickets: Number(tickets.value()), rho: rho.value(), rows: Number(people.value()) }]
    : [{ name: 'exact', tickets: Number(tickets.value()) }]);
  const chosen = () => known.find((c) => c.name === who.value());
  let turn = 0;
  const draw = () => {
    const c = chosen();
    key.node.hidden = Boolean(c);
    ticketPart.hidden = !c;
    dp.hidden = noise.value() !== 'noisy';
    put(nodes, c
      ? details('Its nodes', h('ul', null, c.nodes.map((n) => h('li', null, `${n.name} `, hash(n.signingKey)))))
      : note('warn', 'In custodian-held custody your own node decrypts: you learn every result, and every quote, order and receipt says so. Its dataset key is taken from this vault by “Export for my key node”.'));
    turn += 1;
    const mine = turn;
    if (!c || ![tickets, ...(noise.value() === 'noisy' ? [rho, people] : [])].every((f) => f.valid())) {
      put(preview);
      return;
    }
    core.previewClasses({ id, classes: classes(), quorums: choose(c.nodes.length, c.threshold) }).then((all) => {
      if (mine !== turn) return;
      put(preview, all.map((p) => note('plain', h('p', null, p.text), p.noisy ? h('p', { class: 'small' }, `All ${count(p.tickets * choose(c.nodes.length, c.threshold))} tickets together: ${real(p.rho, 3)} zCDP${p.epsilon === null ? '' : `, epsilon ${real(p.epsilon, 3)} at delta ${p.delta}`}.`) : h('p', { class: 'small' }, `${plural(choose(c.nodes.length, c.threshold), 'quorum')} of ${c.threshold} nodes, ${count(p.tickets)} tickets each.`))));
    }, (e) => {
      if (mine === turn) put(preview, note('bad', e instanceof Error ? e.message : String(e)));
    });
  };
  for (const f of [who, tickets, rho, people, limit]) f.input.addEventListener('change', draw);
  draw();
  return {
    fields: [who, key, tickets, rho, people, limit],
    node: h('div', { class: 'stack' },
      known.length === 0 ? note('warn', 'This marketplace has put up no committee. Ask a committee’s operators for their file, or open with your own key node.') : null,
      who.node, nodes, file, key.node, ticketPart),
    /** @returns {Opening} */
    read() {
      const c = chosen();
      return c
        ? { opener: { by: 'committee', name: c.name, committee: c.file, quorums: choose(c.nodes.length, c.threshold) }, classes: classes(), rhoLimit: noise.value() === 'noisy' && limit.value() ? limit.value() : null }
        : { opener: { by: 'custodian', key: key.value() }, classes: [], rhoLimit: null };
    },
  };
}
