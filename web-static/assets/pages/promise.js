// @ts-check
/** What the marketplace promises and what it does not, seat by seat. */
import { h } from '../lib/dom.js';
import { badge, details, heading, linkButton, section, table } from '../lib/ui.js';

/** @type {import('../lib/router.js').Page} */
export async function page() {
  return {
    title: 'What we promise', crumbs: [{ label: 'What we promise' }],
    node: h('div', null,
      heading('What we promise, and what we do not', { lead: 'No party here has to be trusted with everything, but none of this is magic. This is what stands behind each word, and where it ends.' }),
      h('div', { class: 'stack-large' },
        section('Three words', table({
          caption: 'Words', wordy: true, rows: [
            { word: badge('proven', 'proven'), means: 'Anybody who has the receipt can check it, offline, without trusting anybody.' },
            { word: badge('verified', 'attested'), means: 'A named key signed it. It is as good as the one who holds that key.' },
            { word: badge('warning', 'assumed'), means: 'Nothing in the system shows it. We say so.' },
          ], columns: [{ label: 'Word', head: true, cell: (r) => r.word }, { label: 'It means', cell: (r) => r.means }],
        })),
        section('What we promise', h('div', { class: 'prose' }, h('ul', null,
          h('li', null, h('strong', null, 'Data stay home. '), 'Plaintext rows and secret keys exist only at their owner’s. The marketplace holds ciphertexts, sealed models and sealed results.'),
          h('li', null, h('strong', null, 'Nothing is opened without a proof. '), 'A result is decrypted only with a verified proof, a funded order and an unspent right to reveal; each key node checks all three itself.'),
          h('li', null, h('strong', null, 'Only the buyer sees the result. '), 'Where the custodian’s own key node opens, the custodian sees it too; then the quote, the order and the receipt say so.'),
          h('li', null, h('strong', null, 'Private weights stay with you and one pod. '), 'They are sealed to the pod that the quote names. That pod can read them: choose it by its key if it matters.'),
          h('li', null, h('strong', null, 'Money in equals money out. '), 'Every order ends in exactly one of released or refunded. You never pay for unproven work.'),
          h('li', null, h('strong', null, 'Safe by default. '), 'No per-row results, rare categories suppressed, private weights on, 128-bit parameters, unless somebody decides otherwise and it is said.')))),
        section('What we do not promise', h('div', { class: 'prose' }, h('ul', null,
          h('li', null, 'That a custodian’s data are true. Nothing can show it; quote and receipt list it as assumed.'),
          h('li', null, 'That a buyer’s model is good.'),
          h('li', null, 'Anything against a quorum of key nodes that conspire, or a custodian together with one node of the quorum: they can read a result, or make a wrong one pass.'),
          h('li', null, 'That the marketplace will not refuse, delay or shut down. Receipts already issued stay valid without it.'),
          h('li', null, 'That many aggregates never add up to a person. Cohorts, quotas and noise bound it; without noise a bound is all there is. Differences of two cohorts are a known limit.'),
          h('li', null, 'That private weights are private from the custodian where it opens results itself and sells scores of rows: from those it can solve for them.')))),
        section('Who learns what, from one order', table({
          caption: 'Who learns what', wordy: true, rows: [
            ['Buyer', 'its result', 'its result'],
            ['Custodian', 'that a query was made, on which segments, its public shape', 'the same, and the results'],
            ['Compute pod', 'the public shape, the private weights', 'the same'],
            ['One key node', 'the public shape, the output ciphertext, masked words', 'it is the custodian’s'],
            ['A whole quorum together, or the custodian and one node', 'the result, and of private weights what the results tell', ''],
            ['Marketplace', 'the public shape, sizes, times, price, masked words', 'the public shape, sizes, times, price'],
            ['Whoever has the receipt', 'the public shape, bounds on the weights, the output ciphertext', 'the same'],
          ], columns: [{ label: 'Seat', head: true, cell: (r) => r[0] }, { label: 'Opened by a committee', cell: (r) => r[1] }, { label: 'Opened by the custodian', cell: (r) => r[2] || 'does not apply' }],
        })),
        section('If a party is hostile', h('div', null,
          seat('The custodian', [
            ['list data that are false', 'nothing stops it: assumed'],
            ['commit to one dataset and upload another', 'every root is recomputed before a listing is published'],
            ['change policy or price under an order', 'the order names both; both are signed'],
            ['hold back an opening', 'its escrow is not paid out; with a committee another quorum opens'],
            ['answer with a wrong plaintext', 'with a committee it opens nothing; where it opens itself, nothing: custodian-attested'],
          ]),
          seat('The buyer', [
            ['read rows instead of aggregates', 'row sums are never openable; scores of rows only where the signed policy says so'],
            ['isolate a person by small cohorts', 'smallest cohort by segment, suppression, quotas'],
            ['query without end', 'quotas are counted durably by the key nodes themselves'],
            ['not pay', 'the price is in escrow before anything is computed'],
          ]),
          seat('The compute pod', [
            ['compute something else', 'the proof covers every step from the committed data to the output'],
            ['keep or leak private weights', 'nothing stops it: they are readable by the pod that the quote names'],
            ['never answer', 'others are asked, or you are refunded at the deadline'],
          ]),
          seat('Fewer key nodes than the threshold', [
            ['learn data, keys or a result', 'everything opened before the result is masked; they lack a share of the masks'],
            ['make a wrong result pass', 'shares are authenticated; a lie names the node'],
            ['open what is unproven or unpaid', 'every honest node of the quorum checks for itself'],
          ]),
          seat('The marketplace', [
            ['read data, models or results', 'it holds only what is encrypted or sealed to others'],
            ['get something opened without a paid, proven order', 'each key node checks signatures, policy and proof itself'],
            ['swap the result key, price or program', 'all are under the buyer’s signature'],
            ['show another key than before', 'vaults and programs pin it; a change is refused before anything is signed'],
            ['deny service', 'nothing stops it'],
          ]),
          seat('An admin', [
            ['publish a bad listing, approve a false deposit', 'every act is in a hash-chained audit log with actor and reason; nobody decides their own request'],
            ['read secrets', 'none are on the server'],
          ]))),
        section('See for yourself', h('div', { class: 'actions' }, linkButton('Verify a receipt', '/verify', 'main'), linkButton('Look at a dataset', '/listings'), linkButton('The API', '/api'))))),
  };
}

/** @param {string} who @param {[string, string][]} rows */
function seat(who, rows) {
  return details(who, table({ caption: `If ${who.toLowerCase()} is hostile`, wordy: true, rows, columns: [{ label: 'It could', head: true, cell: (r) => r[0] }, { label: 'What stops it', cell: (r) => r[1] }] }));
}
