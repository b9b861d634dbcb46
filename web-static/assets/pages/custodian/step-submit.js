// @ts-check
/** Step 3: what is signed, in words; the backup; handing in, which resumes. */
import { save } from '../../lib/api.js';
import { basisPoints, count, credits, h, put } from '../../lib/dom.js';
import { button, confirm, facts, failure, note, progress, section } from '../../lib/ui.js';
import { KINDS } from '../parts/policy.js';
import { STAGES } from './step-table.js';

/**
 * @typedef {import('../../core/core.js').Core} Core
 * @typedef {import('../../core/core.js').Draft} Draft
 * @typedef {import('../../core/core.js').OpenersAsk} OpenersAsk
 * @typedef {import('./step-terms.js').Terms} Terms
 */

/** @param {Terms} t @returns {OpenersAsk} */
export function openersOf(t) {
  const o = t.opening.opener;
  if (o.by === 'custodian') return { custodianHeld: o.key };
  return { committee: o.committee, ...(t.opening.rhoLimit ? { rhoLimit: t.opening.rhoLimit } : {}) };
}

/**
 * The steps of handing in, each of which goes on where it was.
 * @param {{core: Core, draft: Draft, terms: Terms, account: {id: string}}} o
 * @returns {{label: string, run: (tell: (p: import('../../core/core.js').Progress) => void) => Promise<unknown>}[]}
 */
function course({ core, draft, terms, account }) {
  const { id } = draft;
  const opener = terms.opening.opener;
  return [
    { label: 'A draft at the marketplace', run: () => core.listingDraft({ id, account: account.id, title: terms.title, description: terms.description }) },
    { label: 'Upload of the ciphertexts', run: (onProgress) => core.upload({ id }, { onProgress }) },
    ...(opener.by === 'committee' ? [
      {
        label: `Opening tickets for ${opener.name}`,
        async run(/** @type {(p: import('../../core/core.js').Progress) => void} */ onProgress) {
          const now = (await core.drafts()).find((d) => d.id === id)?.dealings;
          const done = now && now.planned > 0 && now.dealt === now.planned;
          if (!done) await core.deal({ id, committee: opener.committee, classes: terms.opening.classes }, { onProgress });
        },
      },
      { label: 'Upload of the tickets, sealed to each node', run: (/** @type {(p: import('../../core/core.js').Progress) => void} */ onProgress) => core.uploadTickets({ id }, { onProgress }) },
    ] : []),
    { label: 'Your signature under the policy', run: () => core.signPolicy({ id, policy: terms.policy, openers: openersOf(terms) }) },
    { label: 'The server verifies every root and the listing proof', run: () => core.submit({ id }) },
  ];
}

/**
 * @param {{core: Core, draft: Draft, terms: Terms, account: {id: string}, signal: AbortSignal, back: () => void, busy: (b: boolean) => void, done: (listing: string) => void}} o
 */
export function submitStep(o) {
  const { core, draft, terms } = o;
  const p = terms.policy;
  const opener = terms.opening.opener;
  const under = h('div', { class: 'stack', 'aria-live': 'polite' });
  const backup = h('div');
  let safe = false;

  const run = async () => {
    o.busy(true);
    const steps = course(o);
    const marks = steps.map((s) => h('li', { class: 'todo' }, s.label));
    const bar = progress('Handing in');
    put(under, h('ol', { class: 'timeline' }, marks), bar.node);
    try {
      /** @type {any} */
      let last = null;
      for (const [i, s] of steps.entries()) {
        const mark = marks[i];
        if (mark) mark.className = 'now';
        bar.set(null, s.label);
        last = await s.run((x) => bar.set(x.total > 0 ? x.done / x.total : null, STAGES[x.stage] ?? x.stage));
        if (mark) mark.className = 'done';
      }
      o.busy(false);
      o.done(last.listing);
    } catch (e) {
      o.busy(false);
      const at = marks.findIndex((m) => m.className === 'now');
      if (marks[at]) marks[at].className = 'bad';
      bar.set(0, 'stopped');
      if (!o.signal.aborted) under.append(failure(e, () => void run()), h('p', { class: 'small quiet' }, 'What is done stays done: trying again goes on from there.'));
    }
  };

  const send = button('Submit for review', async () => {
    if (!safe && !await confirm({
      title: 'Without a backup?', danger: true, yes: 'Submit without a backup',
      body: h('p', null, 'If this browser’s storage is cleared, nobody can sign another policy, deal further tickets or withdraw what belongs to these keys. A backup takes one press.'),
    })) return;
    send.disabled = true;
    await run();
    send.disabled = false;
  }, { kind: 'main' });

  const keep = async () => {
    const state = await core.vaultState();
    safe = state.unsaved === 0;
    put(backup, safe
      ? note('good', 'The backup of your keys is up to date.')
      : note('warn', h('p', null, 'Before you go on: back up your keys. The file is sealed under your passphrase; keep it where you keep what must not be lost.'),
        button('Download the backup', async () => {
          save(await core.vaultExport(), `veilbourse-vault-${new Date().toISOString().slice(0, 10)}.vault`);
          safe = true;
          await keep();
        }, { kind: 'main' })));
  };
  void keep().catch((e) => put(backup, failure(e)));

  return h('div', { class: 'stack' },
    section('What you sign', facts([
      ['Title', terms.title],
      ['Data', `${count(draft.rows)} rows, ${count(draft.columns)} encrypted columns, ${count(draft.segments)} segments`],
      ['May be asked', h('ul', null, p.kinds.map((k) => h('li', null, KINDS[k] ?? k)))],
      ['Fewest rows under a value', count(p.minCohort)],
      ['Values that may ever be revealed', `${count(p.quotaValues)} (${count(p.quotaBits)} bits)`],
      ['Price', `${credits(p.priceOrder)} an order and ${credits(p.priceOutput)} for each value, of which at least ${basisPoints(p.custodianBasisPoints)} are yours`],
      ['Who opens', opener.by === 'committee' ? `Committee ${opener.name}: neither you nor the marketplace learns a result` : 'Your own key node: you learn every result'],
      terms.opening.classes.length > 0 && ['Tickets', terms.opening.classes.map((c) => `${count(c.tickets ?? 0)} for each quorum, ${c.rho ? `noise at ${c.rho} zCDP a value` : 'without noise'}`).join('; ')],
      Boolean(terms.opening.rhoLimit) && ['Privacy budget', `${terms.opening.rhoLimit} zCDP for all time`],
    ])),
    section('Your keys', backup),
    opener.by === 'custodian' ? section('Your key node', h('div', { class: 'stack' }, h('p', null, 'Your node needs the dataset’s key. Put these files into a folder beside it and run ', h('code', null, 'veilbourse key-node --add FOLDER --custodian KEY'), '.'), button('Export for my key node', async () => {
      for (const f of await core.exportDataset(draft.id)) save(f.file, f.name);
    }))) : null,
    h('div', { class: 'actions' }, send, button('Back to the terms', o.back)), under);
}
