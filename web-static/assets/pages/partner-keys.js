// @ts-check
/** API keys and registered documents. */
import { gql } from '../lib/api.js';
import { count, h, when, words } from '../lib/dom.js';
import { session } from '../lib/session.js';
import { ask, badge, button, confirm, copyButton, details, dialog, empty, field, hash, heading, later, note, pages, section, table, tag, toast } from '../lib/ui.js';

const KEY = 'id name scopes persistedOnly createdAt expiresAt revokedAt lastUsedAt perMinute perDay usedToday prefix';
const SCOPES = [
  ['CATALOGUE', 'read datasets'], ['QUOTE', 'ask for quotes'], ['ORDER', 'place orders and follow them: it spends your credits'], ['RESULT', 'fetch receipts and sealed results'],
  ['LISTING', 'make and change listings, upload'], ['MONEY', 'read the balance, ask for deposits and withdrawals'], ['WEBHOOK', 'keep webhooks'],
];

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const list = later(async () => {
    const all = /** @type {any[]} */ ((await gql(`{ apiKeys { ${KEY} } }`, {}, { signal: ctx.signal })).apiKeys);
    return table({
      caption: 'API keys', rows: all,
      empty: empty('No keys yet', 'A key lets a program act for you, with no more rights than you choose.', button('Make a key', make, { kind: 'main' })),
      columns: [
        { label: 'Name', head: true, cell: (k) => [k.name, h('br'), h('span', { class: 'mono small quiet' }, `${k.prefix}…`)] },
        { label: 'May', cell: (k) => h('span', { class: 'tags' }, k.scopes.map((/** @type {string} */ x) => tag(words(x))), k.persistedOnly ? tag('registered documents only') : null) },
        { label: 'Today', numeric: true, cell: (k) => `${count(k.usedToday)} of ${count(k.perDay)}` },
        { label: 'Last used', cell: (k) => when(k.lastUsedAt, { relative: true }) },
        { label: 'State', cell: (k) => (k.revokedAt ? [badge('voided', 'revoked'), ' ', when(k.revokedAt, { relative: true })] : k.expiresAt && Number(k.expiresAt) < Date.now() ? badge('voided', 'expired') : [badge('active'), k.expiresAt ? h('span', { class: 'small quiet' }, ' until ', when(k.expiresAt)) : null]) },
        {
          label: '', cell: (k) => (k.revokedAt ? null : h('span', { class: 'row' }, button('Rotate', () => rotate(k), { kind: 'quiet', label: `Rotate ${k.name}` }), button('Revoke', () => revoke(k), { kind: 'quiet', label: `Revoke ${k.name}` }))),
        },
      ],
    });
  }, 'Loading keys');

  async function make() {
    const name = field({ label: 'Name', name: 'name', required: true, maxlength: 100, hint: 'What will use it; for you.' });
    const scopes = SCOPES.map(([value, hint]) => ({ value: value ?? '', f: field({ label: words(value ?? ''), name: value ?? '', type: 'checkbox', hint, checked: value === 'CATALOGUE' }) }));
    const expires = field({ label: 'Refused from', name: 'expiresAt', type: 'date', optional: true, min: new Date(Date.now() + 86_400_000).toISOString().slice(0, 10) });
    const minute = field({ label: 'Requests a minute', name: 'perMinute', type: 'number', min: 1, value: '120' });
    const dayly = field({ label: 'Requests a day', name: 'perDay', type: 'number', min: 1, value: '100000' });
    const only = field({ label: 'Registered documents only', name: 'persistedOnly', type: 'checkbox', hint: 'It runs nothing but what you registered below.' });
    const made = await ask({
      title: 'Make an API key', fields: [name, ...scopes.map((x) => x.f), expires, minute, dayly, only], submit: 'Make the key',
      async act() {
        const chosen = scopes.filter((x) => x.f.checked()).map((x) => x.value);
        if (chosen.length === 0) throw new Error('Choose at least one thing that it may do.');
        const data = await gql(`mutation($name: String!, $scopes: [ApiScope!]!, $expiresAt: String, $perMinute: Int, $perDay: Int, $only: Boolean!) {
          createApiKey(name: $name, scopes: $scopes, expiresAt: $expiresAt, perMinute: $perMinute, perDay: $perDay, persistedOnly: $only) { secret } }`, {
          name: name.value(), scopes: chosen, expiresAt: expires.value() ? String(new Date(`${expires.value()}T00:00:00`).getTime()) : null,
          perMinute: Number(minute.value()), perDay: Number(dayly.value()), only: only.checked(),
        });
        return data.createApiKey.secret;
      },
    });
    if (made) {
      showSecret('Your new key', made);
      list.reload();
    }
  }

  /** @param {any} k */
  async function rotate(k) {
    const overlap = field({ label: 'The old secret works for another', name: 'overlapSeconds', type: 'select', value: '3600', options: [['0', 'not at all'], ['3600', 'hour'], ['86400', 'day'], ['604800', 'week']].map(([value, label]) => ({ value: value ?? '', label: label ?? '' })) });
    const made = await ask({
      title: `A new secret for ${k.name}`, fields: [overlap], submit: 'Rotate',
      act: async () => (await gql('mutation($id: String!, $o: Int!) { rotateApiKey(id: $id, overlapSeconds: $o) { secret } }', { id: k.id, o: Number(overlap.value()) })).rotateApiKey.secret,
    });
    if (made) {
      showSecret(`The new secret of ${k.name}`, made);
      list.reload();
    }
  }

  /** @param {any} k */
  async function revoke(k) {
    if (!(await confirm({ title: `Revoke ${k.name}?`, danger: true, yes: 'Revoke', body: h('p', null, 'It is refused at once, open connections too. It cannot be taken back.') }))) return;
    await gql('mutation($id: String!) { revokeApiKey(id: $id) }', { id: k.id });
    toast('The key is revoked.', 'good');
    list.reload();
  }

  const documents = pages({
    what: 'Loading documents',
    fetch: async (after) => (await gql('query($after: String) { persistedQueries(first: 20, after: $after) { nodes { id document createdAt } pageInfo { hasNextPage endCursor } } }', { after }, { signal: ctx.signal })).persistedQueries,
    show: (/** @type {any[]} */ rows) => table({
      caption: 'Registered documents', rows, empty: empty('No documents registered', 'A registered document is run by its digest: shorter requests, and keys that can run nothing else.', h('a', { class: 'button', href: '/api' }, 'Write one in the explorer')),
      columns: [
        { label: 'Digest', head: true, cell: (q) => hash(q.id, 16) },
        { label: 'Document', cell: (q) => details(q.document.trim().split('\n')[0].slice(0, 60), h('pre', null, q.document)) },
        { label: 'Registered', cell: (q) => when(q.createdAt) },
        {
          label: '', cell: (q) => button('Remove', async () => {
            if (!(await confirm({ title: 'Remove this document?', danger: true, yes: 'Remove', body: h('p', null, 'Requests that name its digest are refused from now on.') }))) return;
            await gql('mutation($id: String!) { removePersistedQuery(id: $id) }', { id: q.id });
            void documents.reload();
          }, { kind: 'quiet' }),
        },
      ],
    }),
  });

  const who = session();
  return {
    title: 'API keys', crumbs: [{ label: 'API keys' }],
    node: h('div', null,
      heading('API keys', { lead: 'For programs that act for you. A key has its own rights and quotas, and never more than your own; it cannot touch your account.', actions: button('Make a key', make, { kind: 'main' }) }),
      who && !who.verified ? note('warn', h('p', null, 'Keys can be made after your mail address is confirmed. ', h('a', { href: '/verify-mail' }, 'Confirm it'), '.')) : null,
      list.node,
      section('Registered documents', documents.node),
      section('Beside this', h('p', null, h('a', { href: '/partner/webhooks' }, 'Webhooks'), ' tell your program what happens. ', h('a', { href: '/api' }, 'The explorer'), ' runs queries and shows the schema. The schema’s text is at ', h('a', { href: '/graphql/sdl' }, '/graphql/sdl'), ', the subgraph’s at ', h('a', { href: '/graphql/federation-sdl' }, '/graphql/federation-sdl'), '.'))),
  };
}

/**
 * @param {string} title
 * @param {string} secret
 */
export function showSecret(title, secret) {
  dialog({ title, body: [h('p', null, 'It is shown this once. Keep it where your program reads its secrets.'), h('p', { class: 'secret' }, secret), h('div', { class: 'actions' }, copyButton(secret))] });
}
