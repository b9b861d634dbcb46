// @ts-check
/** The first page: what this is, for whom, and what is on offer now. */
import { gql } from '../lib/api.js';
import { basisPoints, credits, h } from '../lib/dom.js';
import { empty, later, linkButton, section } from '../lib/base.js';
import { session } from '../lib/session.js';

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const who = session();
  const start = !who ? linkButton('Make an account', '/register', 'main')
    : who.roles.includes('CUSTODIAN') && !who.roles.includes('BUYER') ? linkButton('Go to your datasets', '/custodian', 'main')
      : who.roles.some((r) => r === 'ADMIN' || r === 'AUDITOR') ? linkButton('Go to the overview', '/admin', 'main')
        : linkButton('Go to your orders', '/orders', 'main');
  const newest = later(async () => {
    const data = await gql('{ marketplace { feeBasisPoints } listings(first: 3) { nodes { id title description ownerName priceOrder priceOutput } } }', {}, { signal: ctx.signal });
    const all = data.listings.nodes;
    return h('div', { class: 'stack' },
      all.length === 0
        ? empty('Nothing is listed yet', 'The first custodian to list a dataset will be shown here.', who?.roles.includes('CUSTODIAN') ? linkButton('List a dataset', '/custodian/new', 'main') : null)
        : h('ul', { class: 'cards' }, all.map((/** @type {any} */ l) => h('li', null, h('article', { class: 'entry' },
          h('h3', null, h('a', { href: `/listings/${l.id}` }, l.title)),
          h('p', { class: 'quiet clamp' }, l.description),
          h('p', { class: 'meta' }, h('span', null, 'by ', h('strong', null, l.ownerName)), l.priceOrder ? h('span', null, 'from ', h('strong', null, credits(BigInt(l.priceOrder) + BigInt(l.priceOutput)))) : null))))),
      h('p', { class: 'small quiet' }, `The marketplace keeps ${basisPoints(data.marketplace.feeBasisPoints)} of each price; the rest goes to custodian and compute pod, as every quote says.`));
  }, 'Loading datasets');
  return {
    title: 'Veilbourse',
    node: h('div', { class: 'stack-large' },
      h('section', { class: 'hero' },
        h('h1', null, 'Insight from data that nobody is allowed to see'),
        h('p', { class: 'lead' }, 'Hospitals, banks and agencies list encrypted datasets. You ask a question; machines compute on the ciphertext and prove that they did it right; only you see the answer. You pay for a proven result or not at all.'),
        h('div', { class: 'actions' }, start, linkButton('Look at the datasets', '/listings'))),
      section('How an answer comes about', h('ol', { class: 'steps' },
        step('Encrypted at home', 'The custodian encrypts the table in its own browser or on its own machine. Rows and keys never leave it.'),
        step('Asked and quoted', 'You try the query free on a synthetic twin. The quote says the exact price, the precision, and who learns what, before money moves.'),
        step('Computed blind, proven', 'An independent pod evaluates the query on ciphertext. Every step from the committed data to the output has a proof.'),
        step('Opened for you alone', 'Key nodes verify the proof themselves, open nothing but the result, and seal it to you. The receipt proves it to anyone, offline.'))),
      section('Listed now', newest.node, { actions: h('a', { href: '/listings' }, 'All datasets') }),
      section('For whom', h('div', { class: 'three' },
        seat('Custodians', 'Earn from data that cannot be shared. You set the price, the allowed questions and how much may ever be revealed; you see every query and can stop at any time.', '/register?role=custodian', 'List a dataset'),
        seat('AI developers', 'Evaluate a model, train a regression or take statistics on data that you could never obtain. Your weights stay private.', '/register?role=buyer', 'Buy answers'),
        seat('Platforms', 'Build on the same API: scoped keys, signed webhooks, persisted queries, a stable schema.', '/api', 'See the API'))),
      section('What we do not promise', h('div', { class: 'stack' },
        h('p', null, 'That a custodian’s data are true, that a model is good, or anything against key nodes that conspire in a quorum. Every result says what is proven, what is attested by a signature, and what is assumed.'),
        h('p', null, h('a', { href: '/promise' }, 'Read it seat by seat')))))
  };
}

/** @param {string} title @param {string} text */
function step(title, text) {
  return h('li', null, h('h3', null, title), h('p', { class: 'quiet small' }, text));
}

/** @param {string} title @param {string} text @param {string} href @param {string} action */
function seat(title, text, href, action) {
  return h('div', { class: 'card' }, h('h3', null, title), h('p', { class: 'quiet' }, text), h('p', null, h('a', { href }, action)));
}
