// @ts-check
/** Changes of a listing that need the custodian's keys: policy and tickets. */
import { h, plural, put } from '../../lib/dom.js';
import { confirm, dialog, field, form, failure, note, progress, toast } from '../../lib/ui.js';
import { openVault } from '../../lib/vault.js';
import { perRow } from '../parts/policy.js';
import { committees } from './opening-form.js';
import { STAGES } from './step-table.js';
import { termsForm, termsOf } from './terms-form.js';

/**
 * @typedef {import('../../core/core.js').Core} Core
 * @typedef {import('../../core/core.js').Draft} Draft
 */

/**
 * The core and the dataset of a listing, or null after saying why not.
 * @param {{id: string}} account
 * @param {{id: string, title: string}} listing
 * @returns {Promise<{core: Core, draft: Draft} | null>}
 */
async function owned(account, listing) {
  const core = await openVault({ account, why: 'Signing needs the key in the vault.' });
  if (!core) return null;
  const draft = (await core.drafts()).find((d) => d.listing === listing.id);
  if (draft) return { core, draft };
  dialog({ title: 'Not in this browser', body: [h('p', null, `The keys of “${listing.title}” are not in this browser’s vault.`), h('p', null, 'Open this page in the browser in which it was listed, restore the backup under Account, or use the command line, where it was listed from a folder.')] });
  return null;
}

/**
 * Who opens, as the present policy says it. A privacy budget that was set stays; one
 * that is no more than what was dealt was never set, and grows with it.
 * @param {any} policy
 * @param {{rhoLimit: number, rhoDealt: number} | null} tickets
 * @returns {Promise<import('../../core/core.js').OpenersAsk>}
 */
async function present(policy, tickets) {
  const o = policy.body.openers;
  if (o.custody !== 'committee') return { custodianHeld: o.node_key };
  const found = (await committees(AbortSignal.timeout(20_000))).find((c) => c.nodes.map((n) => n.signingKey).join() === o.nodes.join());
  if (!found) throw new Error('the committee of this policy is not put up at this marketplace: use the command line with its file');
  const set = tickets !== null && tickets.rhoLimit > tickets.rhoDealt;
  return { committee: found.file, ...(set ? { rhoLimit: `${policy.body.tickets.rho_limit_units}/${2 ** 40}` } : {}) };
}

/**
 * Signs and hands in the next version; true when it was.
 * @param {{account: {id: string}, listing: any, tickets: any}} o
 * @returns {Promise<boolean>}
 */
export async function editPolicy({ account, listing, tickets }) {
  const mine = await owned(account, listing);
  if (!mine) return false;
  const { core, draft } = mine;
  const before = termsOf(listing.policy);
  return new Promise((resolve) => {
    let done = false;
    const policy = termsForm(before);
    const f = form({
      fields: policy.fields, submit: `Sign version ${listing.policy.body.policy_version + 1}`,
      body: h('div', { class: 'stack' }, h('p', null, 'The new version replaces the present one for new orders. Orders under way keep theirs.'), policy.node),
      async onsubmit() {
        const next = policy.read();
        if (!next) return;
        const opened = next.kinds.some(perRow) && !before.kinds.some(perRow);
        if (opened && !await confirm({ title: 'Release row by row?', body: h('p', null, 'Whoever weighs one column alone reads it out, row by row.'), yes: 'Allow it', danger: true })) return;
        const openers = await present(listing.policy, tickets);
        await core.signPolicy({ id: draft.id, policy: { ...next, version: listing.policy.body.policy_version + 1 }, openers });
        if (listing.state === 'rejected') await core.submit({ id: draft.id });
        else await core.updatePolicy({ id: draft.id });
        done = true;
        toast(listing.state === 'rejected' ? 'Handed in again with the new policy.' : 'The new policy holds.', 'good');
        d.close();
      },
    });
    const d = dialog({ title: 'Price and policy', body: f.node, wide: true, onclose: () => resolve(done) });
  });
}

/**
 * Deals further tickets, or anew to frozen quorums; true when it was done.
 * @param {{account: {id: string}, listing: any, tickets: any, anew?: number[][]}} o
 * @returns {Promise<boolean>}
 */
export async function dealMore({ account, listing, tickets, anew }) {
  const mine = await owned(account, listing);
  if (!mine) return false;
  const { core, draft } = mine;
  const openers = await present(listing.policy, tickets);
  if (!('committee' in openers) || !openers.committee) throw new Error('this listing is not in committee custody');
  const { committee } = openers;
  const offered = tickets.classes.filter((/** @type {any} */ c) => c.offered);
  const exact = offered.find((/** @type {any} */ c) => c.rhoPerTicket === 0);
  const cls = exact ?? offered[0];
  return new Promise((resolve) => {
    let done = false;
    const number = field({ label: 'Tickets for each quorum', name: 'tickets', value: '2048', inputmode: 'numeric', required: true, check: (v) => (/^\d{1,6}$/.test(v) && Number(v) > 0 ? null : 'A whole number from 1 to 999,999.') });
    const rho = field({ label: 'Cost of each value', name: 'rho', value: cls && cls.rhoPerTicket > 0 ? String(cls.rhoPerTicket) : '', unit: 'zCDP', required: true, hint: 'The same as before adds to the same class.' });
    rho.node.hidden = Boolean(exact);
    const bar = h('div');
    const f = form({
      fields: [number, rho], submit: anew ? `Deal anew to ${plural(anew.length, 'quorum')}` : 'Deal and sign',
      body: h('div', { class: 'stack' },
        note('plain', anew ? 'A frozen quorum has destroyed its keys because somebody may know them. It gets fresh keys and tickets.' : 'What is dealt with noise is paid for out of the privacy budget when it is dealt, spent or not.'),
        number.node, rho.node, bar),
      async onsubmit() {
        const p = progress('Dealing');
        put(bar, p.node);
        /** @param {import('../../core/core.js').Progress} s */
        const onProgress = (s) => p.set(s.total > 0 ? s.done / s.total : null, STAGES[s.stage] ?? s.stage);
        try {
          await core.deal({
            id: draft.id, committee, classes: [exact ? { name: exact.name, tickets: Number(number.value()) } : { name: cls?.name ?? 'private', tickets: Number(number.value()), rho: rho.value() }],
            ...(anew ? { anew, quorums: anew } : { more: true }),
          }, { onProgress });
          await core.uploadTickets({ id: draft.id }, { onProgress });
          await core.signPolicy({ id: draft.id, policy: { ...termsOf(listing.policy), version: listing.policy.body.policy_version + 1 }, openers });
          await core.updatePolicy({ id: draft.id });
        } catch (e) {
          put(bar, failure(e));
          throw e;
        }
        done = true;
        toast('Dealt. The nodes check it next; it can be spent once they have accepted it.', 'good');
        d.close();
      },
    });
    const d = dialog({ title: anew ? 'Deal anew' : 'Deal more tickets', body: f.node, onclose: () => resolve(done) });
  });
}
