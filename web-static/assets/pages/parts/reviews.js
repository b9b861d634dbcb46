// @ts-check
/** A listing's review, oldest first. */
import { h, when } from '../../lib/dom.js';
import { empty } from '../../lib/ui.js';

/** @type {Record<string, {text: string, kind: string}>} */
const DECISIONS = {
  submitted: { text: 'Submitted', kind: 'done' },
  approved: { text: 'Published', kind: 'done' },
  rejected: { text: 'Rejected', kind: 'bad' },
  appealed: { text: 'Appealed', kind: 'done' },
};

/** @param {{at: string, by: string, decision: string, reason: string}[] | null} reviews */
export function timeline(reviews) {
  if (!reviews || reviews.length === 0) return empty('No history yet', 'What is handed in and decided is kept here.');
  return h('ol', { class: 'timeline' }, reviews.map((r) => {
    const d = DECISIONS[r.decision.toLowerCase()] ?? { text: r.decision, kind: 'done' };
    return h('li', { class: d.kind }, h('p', null, h('strong', null, d.text), ` by ${r.by}, `, when(r.at)), r.reason ? h('p', null, r.reason) : null);
  }));
}
