// @ts-check
/** Anybody's receipt, verified in the browser: nothing is sent. */
import { gql } from '../lib/api.js';
import { bytes, h, put } from '../lib/dom.js';
import { reportView } from '../lib/report.js';
import { button, details, drop, failure, field, hash, heading, note, problem, proven, section, toast } from '../lib/ui.js';
import { core, coreProblem, coreProgress } from '../lib/vault.js';

/** The verifier's own limit (REC-4). */
const MOST = 256 * 2 ** 20;

const KEPT = 'veilbourse-expected-marketplace';

/** The marketplace that this browser expects. */
function kept() {
  try {
    return localStorage.getItem(KEPT) ?? '';
  } catch {
    return '';
  }
}

/** @param {string} id */
function keep(id) {
  if (id) localStorage.setItem(KEPT, id);
  else localStorage.removeItem(KEPT);
}

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const expected = field({
    label: 'Marketplace that you expect', name: 'marketplace', optional: true, mono: true, spellcheck: false,
    hint: 'Its id or key in hex, as its operator publishes it. Without one the receipt is checked all the same, and you see who signed.',
    value: kept(),
    check: (v) => (/^[0-9a-fA-F]{64}$/.test(v) ? null : `64 hex digits; this has ${v.length} characters.`),
  });
  const out = h('div', { 'aria-live': 'polite' });
  const here = h('div');
  /** @param {string} id */
  const pin = (id) => h('div', { class: 'row' }, button('Expect this marketplace from now on', async () => {
    keep(id);
    expected.input.value = id;
    toast('Remembered in this browser. A receipt of any other is refused.', 'good');
  }), h('span', { class: 'small quiet' }, 'after comparing the id with the published one'));
  gql('{ marketplace { id key } }', {}, { signal: ctx.signal, quiet: true }).then((d) => {
    put(here, details('What this server calls itself', h('p', { class: 'small' }, 'Id ', hash(d.marketplace.id, 32)), h('p', { class: 'small' }, 'Key ', hash(d.marketplace.key, 32)), h('p', { class: 'small quiet' }, 'A server that lies would lie here too: compare with what is published elsewhere.')));
  }, () => {});
  const box = drop({
    label: 'Choose a receipt', accept: '.json,application/json', hint: 'receipt.json, at most 256 MiB. It is read in this browser and sent nowhere.',
    async onfile(file) {
      if (!expected.valid()) {
        expected.input.focus();
        return;
      }
      if (file.size > MOST) {
        put(out, note('bad', h('p', null, `The file has ${bytes(file.size)}; a receipt has at most ${bytes(MOST)}.`)));
        return;
      }
      const p = coreProgress(`Checking ${file.name} (${bytes(file.size)})`);
      put(out, p.node);
      const began = performance.now();
      try {
        const c = await core();
        const r = await c.verifyReceipt(file, expected.value() ? { marketplace: expected.value().toLowerCase() } : {}, { onProgress: p.on });
        put(out, section(file.name, h('div', { class: 'stack' }, reportView(r), r.valid && r.marketplace !== kept() ? pin(r.marketplace) : null, h('p', { class: 'small quiet' }, `Checked in ${((performance.now() - began) / 1000).toFixed(1)} s in this browser.`))));
      } catch (e) {
        put(out, failure(new Error(coreProblem(e) ?? problem(e))));
      }
    },
  });
  return {
    title: 'Verify a receipt', crumbs: [{ label: 'Verify' }],
    node: h('div', null,
      heading('Verify a receipt', { lead: 'Somebody shows you a result and its receipt. Check here, offline if you like, that the receipt holds: no account, no trust in this server needed.' }),
      h('div', { class: 'stack' }, box, h('div', { class: 'card' }, expected.node, kept() ? button('Forget the one remembered', async () => {
        keep('');
        expected.input.value = '';
      }, { kind: 'quiet' }) : null, here), out),
      section('What is checked', h('div', { class: 'prose' },
        h('ul', null,
          h('li', null, 'Every signature: of the custodian’s policy, the marketplace’s quote, the buyer’s order, the pod’s submission, the key nodes’ deliveries.'),
          h('li', null, 'Every link between those documents, by digest; the price, recomputed from the policy; the split.'),
          h('li', null, 'Every proof: that each encrypted output is the ordered evaluation of the committed dataset.')),
        h('p', null, 'The page lists what is proven, what is attested by a signature, and what is assumed, the same as the program ', h('code', null, 'veilbourse verify'), '.'),
        proven(h('p', null, 'The verifier is the same Rust code as on the command line, compiled to WebAssembly. It recomputes; it believes nothing that the receipt says of itself. Its rules are REC-1 to REC-7 of the specification.'))))),
  };
}
