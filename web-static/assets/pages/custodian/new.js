// @ts-check
/**
 * A new listing in three steps: the table, its terms, handing it in. What was
 * encrypted is kept in this browser, so that a reload goes on where it was.
 */
import { bytes, count, h, put, when } from '../../lib/dom.js';
import { button, empty, heading, linkButton, section, table, toast } from '../../lib/ui.js';
import { openVault, theCore } from '../../lib/vault.js';
import { submitStep } from './step-submit.js';
import { tableStep } from './step-table.js';
import { termsStep } from './step-terms.js';

/**
 * @typedef {import('../../core/core.js').Core} Core
 * @typedef {import('../../core/core.js').Draft} Draft
 * @typedef {import('./step-terms.js').Terms} Terms
 */

const STEPS = ['Table', 'Terms', 'Submit'];

/** @param {number} now */
function steps(now) {
  return h('ol', { class: 'steps of3 course', 'aria-label': 'Steps' }, STEPS.map((s, i) => h('li', i === now ? { 'aria-current': 'step' } : { class: i < now ? 'done' : null }, h('p', null, h('strong', null, s), i < now ? h('span', { class: 'hidden' }, ' (done)') : null))));
}

/** Terms are no secret; they wait here while the page is away. @param {string} id */
const place = (id) => `veilbourse-terms-${id}`;

/** @param {string} id @returns {Terms | null} */
function kept(id) {
  try {
    return JSON.parse(localStorage.getItem(place(id)) ?? 'null');
  } catch {
    return null;
  }
}

/** @type {import('../../lib/router.js').Page} */
export async function page(ctx) {
  const account = ctx.account;
  if (!account) throw new Error('a custodian is signed in here');
  const marker = h('div');
  const body = h('div', { class: 'stack' });
  let under = false;

  /** @param {number} step @param {Node} node */
  const show = (step, node) => {
    put(marker, steps(step));
    put(body, node);
  };

  /** @param {Core} core @param {Draft} draft */
  const submit = (core, draft) => {
    const terms = kept(draft.id);
    if (!terms) {
      terms1(core, draft);
      return;
    }
    show(2, submitStep({
      core, draft, terms, account, signal: ctx.signal,
      back: () => terms1(core, draft),
      busy: (b) => { under = b; },
      done(listing) {
        localStorage.removeItem(place(draft.id));
        toast('Handed in. An admin looks at it next.', 'good');
        ctx.go(`/custodian/listings/${listing}`);
      },
    }));
  };

  /** @param {Core} core @param {Draft} draft */
  const terms1 = (core, draft) => {
    void termsStep({
      core, draft, terms: kept(draft.id), signal: ctx.signal,
      done(terms) {
        localStorage.setItem(place(draft.id), JSON.stringify(terms));
        submit(core, draft);
      },
    }).then((n) => show(1, n));
  };

  const first = () => {
    show(0, h('div', null,
      tableStep({
        core: theCore,
        unlock: () => openVault({ account, why: 'The key that decrypts your table goes into the vault of this browser.' }),
        busy: (b) => { under = b; },
        done(core, draft) {
          history.replaceState(history.state, '', `/custodian/new?draft=${draft.id}`);
          terms1(core, draft);
        },
      }),
      section('Begun before', h('div', { class: 'stack' }, h('p', { class: 'quiet' }, 'What was encrypted in this browser and not handed in yet is in its vault.'), button('Show what is unfinished', async () => {
        const core = await openVault({ account, why: 'What is unfinished lies sealed in the vault.' });
        if (core) put(body, await unfinished(core));
      })))));
  };

  /** @param {Core} core */
  const unfinished = async (core) => {
    const drafts = (await core.drafts()).filter((d) => !d.submitted);
    return h('div', null,
      table({
        caption: 'Unfinished datasets in this browser', rows: drafts,
        empty: empty('Nothing is unfinished', 'Choose a table to begin.'),
        columns: [
          { label: 'Name', head: true, cell: (d) => d.name },
          { label: 'Encrypted', cell: (d) => when(d.created) },
          { label: 'Size', numeric: true, cell: (d) => `${count(d.rows)} × ${count(d.columns)}, ${bytes(d.bytes)}` },
          { label: 'Next', cell: (d) => d.stage },
          { label: h('span', { class: 'hidden' }, 'Acts'), name: 'Acts', cell: (d) => h('div', { class: 'actions' }, button('Go on', () => go(core, d), { kind: 'main' }), button('Delete', async () => {
            await core.removeDraft(d.id);
            put(body, await unfinished(core));
          }, { kind: 'danger' })) },
        ],
      }),
      h('div', { class: 'actions' }, button('Begin with a new table', first)));
  };

  /** @param {Core} core @param {Draft} draft */
  const go = (core, draft) => {
    history.replaceState(history.state, '', `/custodian/new?draft=${draft.id}`);
    submit(core, draft);
  };

  const wanted = ctx.query.get('draft');
  const listing = ctx.query.get('listing');
  if (wanted || listing) {
    show(2, h('div', { class: 'stack' },
      h('p', null, 'This dataset was encrypted before. Its keys are in the vault of the browser in which that was done.'),
      h('div', { class: 'actions' }, button('Unlock the vault and go on', async () => {
        const core = await openVault({ account, why: 'The dataset’s keys lie in the vault.' });
        if (!core) return;
        const draft = (await core.drafts()).find((d) => d.id === wanted || (listing !== null && d.listing === listing));
        if (draft) go(core, draft);
        else put(body, empty('Not in this browser', 'This vault does not hold that dataset. Open the page in the browser in which it was encrypted, or restore its backup under Account.', linkButton('Begin with a new table', '/custodian/new')));
      }, { kind: 'main' }), linkButton('Begin with a new table', '/custodian/new'))));
  } else first();

  return {
    title: 'List a dataset',
    crumbs: [{ label: 'Custodian', href: '/custodian' }, { label: 'List a dataset' }],
    node: h('div', { class: 'stack-large' }, heading('List a dataset', { lead: 'The table is read, encrypted and committed to in this browser. What leaves it is ciphertext, a public schema, and your signature.' }), marker, body),
    busy: () => under,
    leave() {
      // What is stored goes on after a reload; work in memory does not.
      return !under || window.confirm('Work is under way in this page. Leave it?');
    },
  };
}
