// @ts-check
/** Step 2: title, price, policy, and who opens. */
import { bytes, count, h, plural } from '../../lib/dom.js';
import { field, form, section } from '../../lib/ui.js';
import { committees, openingForm } from './opening-form.js';
import { proposed, termsForm } from './terms-form.js';

/**
 * @typedef {import('../../core/core.js').Core} Core
 * @typedef {import('../../core/core.js').Draft} Draft
 * @typedef {{title: string, description: string, policy: import('./terms-form.js').PolicyTerms, opening: import('./opening-form.js').Opening}} Terms
 */

/** Fewest rows that a policy proposes where the table says nothing. */
const K_MIN = 10;

/**
 * @param {{core: Core, draft: Draft, terms: Terms | null, signal: AbortSignal, done: (t: Terms) => void}} o
 */
export async function termsStep({ core, draft, terms, signal, done }) {
  const found = await committees(signal);
  const title = field({ label: 'Title', name: 'title', value: terms?.title ?? draft.name, required: true, maxlength: 200, hint: 'Shown in the catalogue. No names of people.' });
  const description = field({ label: 'Description', name: 'description', type: 'textarea', rows: 4, value: terms?.description ?? '', required: true, maxlength: 4000, hint: 'What the rows are, when and how they were collected, what the columns mean.' });
  const policy = termsForm(terms?.policy ?? proposed(K_MIN));
  const opening = openingForm({ core, id: draft.id, found, before: terms?.opening ?? null });
  const f = form({
    fields: [title, description, ...policy.fields, ...opening.fields],
    submit: 'Review and submit',
    body: h('div', { class: 'stack' },
      h('p', { class: 'quiet' }, `${draft.name}: ${count(draft.rows)} rows, ${plural(draft.columns, 'encrypted column')}, ${bytes(draft.bytes)} of ciphertext, kept in this browser.`),
      section('In the catalogue', h('div', { class: 'stack' }, title.node, description.node)),
      section('Price and policy', policy.node, { lead: 'You sign this. It can be changed later; what was revealed stays counted.' }),
      section('Opening', opening.node, { lead: 'Nothing is decrypted without a verified proof, a funded order and a ticket.' })),
    onsubmit() {
      const read = policy.read();
      if (read) done({ title: title.value(), description: description.value(), policy: read, opening: opening.read() });
    },
  });
  return f.node;
}
