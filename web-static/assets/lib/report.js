// @ts-check
/** What a verified receipt shows. */
import { count, credits, h } from './dom.js';
import { details, facts, hash, mark, note, table } from './ui.js';

/** @typedef {import('../core/core.js').ReceiptReport} Report */
/** @typedef {import('../core/core.js').ReceiptRefused} Refused */

/** @param {Report | Refused} r */
export function reportView(r) {
  if (!r.valid) {
    return note('bad', h('p', { class: 'strong' }, 'This receipt does not hold.'), h('p', null, r.reason), h('p', { class: 'small' }, 'Rule ', h('code', null, r.rule), '. Nothing else in it should be believed.'));
  }
  const lines = [
    ...r.proven.map((what) => ({ what, how: 'proven', text: 'by a proof, checked here' })),
    ...r.attested.map((what) => ({ what, how: 'attested', text: 'by a signature, checked here' })),
    ...r.assumed.map((what) => ({ what, how: 'assumed', text: 'nothing in the receipt shows it' })),
  ];
  const kinds = { proven: 'good', attested: 'busy', assumed: 'warn' };
  return h('div', { class: 'stack' },
    note('good', h('p', { class: 'strong' }, mark(true, 'This receipt holds.')), h('p', null, `Every signature, every link and every proof in it was checked in this browser; evaluation is ${r.evaluation}, decryption ${r.decryption}.`)),
    r.marketplace_expected ? null : note('warn', h('p', null, 'No marketplace was expected: it is signed by whoever holds the key below. Compare it with the one that the operator publishes.')),
    facts([
      ['Order', h('span', { class: 'mono small' }, r.order)],
      ['Dataset', [r.name, ' ', hash(r.dataset, 16)]],
      ['Result', `${count(r.outputs)} outputs, ${count(r.values)} values opened`],
      ['Paid', credits(r.price)],
      ['Marketplace', hash(r.marketplace, 24)],
      ['Custodian’s key', hash(r.custodian_key, 24)],
      ['Buyer’s key', hash(r.buyer_key, 24)],
      ['Key nodes', r.node_keys.map((k) => [hash(k, 24), ' '])],
      r.tickets ? ['Opening tickets', r.tickets] : null,
      ['Reference string', r.srs],
    ]),
    table({
      caption: 'What is proven, attested and assumed', wordy: true, rows: lines, columns: [
        { label: 'What', head: true, cell: (l) => l.what },
        { label: 'How', cell: (l) => h('span', { class: `badge ${kinds[/** @type {keyof typeof kinds} */ (l.how)]}` }, l.how) },
        { label: 'By', cell: (l) => l.text },
      ],
    }),
    r.srs_contributors.length ? details('Who contributed to the reference string', table({ caption: 'Contributors', rows: r.srs_contributors, columns: [{ label: 'Name', head: true, cell: (c) => c.name }, { label: 'Key', cell: (c) => hash(c.key, 24) }] })) : null,
    details('As text', h('pre', null, r.text)));
}
