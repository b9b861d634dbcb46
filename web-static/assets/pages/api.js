// @ts-check
/** The API: an explorer that runs against this server, its types, examples. */
import { ApiError, PAGE_HEADER, gql } from '../lib/api.js';
import { h, put } from '../lib/dom.js';
import { linked, operationsOf, skeleton, typeText } from '../lib/explore.js';
import { hasRole, session } from '../lib/session.js';
import { button, copyButton, details, facts, failure, field, heading, linkButton, loading, note, section, toast } from '../lib/ui.js';

const EXAMPLES = [
  { name: 'Datasets', query: '{\n  listings(first: 5) {\n    nodes { id title ownerName priceOrder priceOutput reveals { valuesLeft } }\n    pageInfo { hasNextPage endCursor }\n  }\n}', variables: '' },
  { name: 'The marketplace', query: '{\n  marketplace { id key feeBasisPoints srs srsProvenance }\n}', variables: '' },
  { name: 'My orders', query: 'query($after: String) {\n  orders(first: 10, after: $after) {\n    nodes { id state refundReason price { total custodian pod fee } placedAt }\n    pageInfo { hasNextPage endCursor }\n  }\n}', variables: '{ "after": null }' },
  { name: 'My balance', query: '{\n  myBalance { available reserved posted incoming }\n}', variables: '' },
  { name: 'One dataset', query: 'query($id: String!) {\n  listing(id: $id) { title policy openers manifest }\n}', variables: '{ "id": "" }' },
];
const REF = 'kind name ofType { kind name ofType { kind name ofType { kind name } } }';
const TYPE = `query($name: String!) { __type(name: $name) { kind name description
  fields { name description isDeprecated deprecationReason args { name description defaultValue type { ${REF} } } type { ${REF} } }
  inputFields { name description defaultValue type { ${REF} } } enumValues { name description } } }`;

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const editor = field({ label: 'Query', name: 'query', type: 'textarea', rows: 14, mono: true, spellcheck: false, value: linked(ctx.query.get('query')) ?? EXAMPLES[0]?.query ?? '', hint: 'Control and Enter runs it.', oninput: () => void digest() });
  const variables = field({ label: 'Variables, as JSON', name: 'variables', type: 'textarea', rows: 4, mono: true, spellcheck: false, value: ctx.query.get('variables') ?? '' });
  const key = field({ label: 'API key', name: 'key', type: 'password', optional: true, mono: true, hint: 'To run as a key instead of your session. It stays in this page.' });
  const out = h('pre', { class: 'answer', tabindex: 0, role: 'region', 'aria-label': 'Answer' }, '');
  const state = h('p', { class: 'small quiet', 'aria-live': 'polite' }, 'Not run yet.');
  const hash = h('span', { class: 'mono small break' });

  async function digest() {
    const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(editor.input.value));
    hash.textContent = [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, '0')).join('');
  }
  void digest();

  async function run() {
    let parsed = {};
    try {
      parsed = variables.value() ? JSON.parse(variables.value()) : {};
      variables.setError(null);
    } catch (e) {
      variables.setError(`This is no JSON: ${e instanceof Error ? e.message : e}`);
      variables.input.focus();
      return;
    }
    const operations = operationsOf(editor.input.value);
    if (operations.includes('subscription')) {
      state.textContent = 'Subscriptions run over the websocket at /graphql; order pages show one at work.';
      return;
    }
    state.textContent = 'Running…';
    const began = performance.now();
    try {
      const r = await fetch('/graphql', {
        method: 'POST', credentials: key.value() ? 'omit' : 'same-origin', signal: ctx.signal,
        headers: { 'content-type': 'application/json', ...(key.value() ? { authorization: `Bearer ${key.value().trim()}` } : PAGE_HEADER) },
        body: JSON.stringify({ query: editor.input.value, variables: parsed }),
      });
      const text = await r.text();
      let shown = text;
      let code = '';
      try {
        const answer = JSON.parse(text);
        shown = JSON.stringify(answer, null, 2);
        code = answer.errors?.[0]?.extensions?.code ?? answer.code ?? '';
      } catch {
        // Shown as it came.
      }
      out.textContent = shown;
      state.textContent = `Status ${r.status}${code ? `, ${code}` : ''}, ${Math.round(performance.now() - began)} ms, ${text.length} characters.`;
    } catch (e) {
      if (e instanceof DOMException && e.name === 'AbortError') return;
      state.textContent = 'The server could not be reached.';
    }
  }
  editor.input.addEventListener('keydown', (e) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      void run();
    }
  });

  /** @param {string} query @param {string} vars */
  function use(query, vars) {
    editor.input.value = query;
    variables.input.value = vars;
    variables.setError(null);
    void digest();
    editor.input.focus();
  }

  // The types

  const docs = h('div', { 'aria-live': 'polite' }, loading('Reading the schema'));
  /** @type {string[]} */
  const way = [];
  /** @param {string} name */
  async function show(name) {
    put(docs, loading(`Reading ${name}`));
    try {
      const t = (await gql(TYPE, { name }, { signal: ctx.signal, quiet: true })).__type;
      if (!t) throw new ApiError('NOT_FOUND', `there is no type ${name}`);
      const at = way.indexOf(name);
      if (at >= 0) way.length = at;
      way.push(name);
      put(docs, typeView(t));
    } catch (e) {
      if (e instanceof DOMException && e.name === 'AbortError') return;
      put(docs, failure(e, () => void show(name)));
    }
  }
  /** A type's text with its name as a link. @param {any} ref */
  function typeLink(ref) {
    const [before, name, after] = typeText(ref);
    return h('span', { class: 'mono small' }, before, h('button', { type: 'button', class: 'link', onclick: () => void show(name) }, name), after);
  }
  /** @param {any} t */
  function typeView(t) {
    const root = { Query: 'query', Mutation: 'mutation', Subscription: 'subscription' }[/** @type {string} */ (t.name)];
    const members = t.fields ?? t.inputFields ?? [];
    const find = field({ label: 'Find', name: 'find', type: 'search', hideLabel: true, placeholder: `Find in ${t.name}`, oninput: narrow });
    const items = members.map((/** @type {any} */ f) => h('li', { class: 'doc-field' },
      h('p', null, h('strong', { class: 'mono' }, f.name), f.args?.length ? '' : null, ': ', typeLink(f.type),
        root && root !== 'subscription' ? [' ', button('Use', async () => {
          const inner = await fieldsOf(f.type);
          const made = skeleton(root, f, inner);
          use(made.query, made.variables);
        }, { kind: 'quiet', label: `Use ${f.name}` })] : null),
      f.description ? h('p', { class: 'small quiet' }, f.description) : null,
      f.isDeprecated ? h('p', { class: 'small' }, h('strong', null, 'Deprecated: '), f.deprecationReason) : null,
      f.args?.length ? h('ul', { class: 'small' }, f.args.map((/** @type {any} */ a) => h('li', null, h('span', { class: 'mono' }, a.name), ': ', typeLink(a.type), a.defaultValue ? ` = ${a.defaultValue}` : '', a.description ? h('span', { class: 'quiet' }, ` ${a.description}`) : null))) : null));
    function narrow() {
      for (const [i, li] of items.entries()) li.hidden = !members[i].name.toLowerCase().includes(find.value().toLowerCase());
    }
    return h('div', { class: 'stack' },
      h('p', { class: 'row small' }, ['Query', 'Mutation', 'Subscription'].map((r) => h('button', { type: 'button', class: 'link', onclick: () => void show(r) }, r)), way.length > 1 ? h('button', { type: 'button', class: 'link', onclick: () => {
        way.pop();
        void show(way[way.length - 1] ?? 'Query');
      } }, 'Back') : null),
      h('h3', { class: 'mono' }, t.name), t.description ? h('p', { class: 'quiet' }, t.description) : null,
      members.length > 8 ? find.node : null,
      items.length ? h('ul', { class: 'doc-fields' }, items) : null,
      t.enumValues ? h('ul', null, t.enumValues.map((/** @type {any} */ v) => h('li', null, h('span', { class: 'mono' }, v.name), v.description ? h('span', { class: 'quiet' }, ` ${v.description}`) : null))) : null,
      t.kind === 'SCALAR' ? h('p', { class: 'small quiet' }, 'A scalar: one value.') : null);
  }
  /** Names of the fields of a type that need no arguments and hold one value. @param {any} ref @returns {Promise<string[]>} */
  async function fieldsOf(ref) {
    const t = (await gql(TYPE, { name: typeText(ref)[1] }, { signal: ctx.signal, quiet: true })).__type;
    if (!t?.fields) return [];
    if (t.fields.some((/** @type {any} */ f) => f.name === 'pageInfo')) {
      const nodes = t.fields.find((/** @type {any} */ f) => f.name === 'nodes');
      return [`nodes { ${(await fieldsOf(nodes.type)).join(' ') || '__typename'} }`, 'pageInfo { hasNextPage endCursor }'];
    }
    const flat = t.fields.filter((/** @type {any} */ f) => f.args.length === 0 && f.name !== 'manifest' && ['SCALAR', 'ENUM'].includes(kindOf(f.type))).map((/** @type {any} */ f) => f.name);
    return flat.length ? flat : ['__typename'];
  }
  void show('Query');

  const who = session();
  return {
    title: 'API', crumbs: [{ label: 'API' }], wide: true,
    node: h('div', null,
      heading('API', { lead: 'One GraphQL endpoint, POST /graphql; a websocket at the same path for progress; plain routes for large objects. Everything in this web app goes through it.', actions: hasRole('BUYER', 'PARTNER', 'CUSTODIAN') ? linkButton('API keys', '/partner/keys') : null }),
      h('div', { class: 'aside half' },
        h('div', { class: 'stack' },
          h('p', { class: 'row small' }, h('span', { class: 'quiet' }, 'Examples:'), EXAMPLES.map((x) => h('button', { type: 'button', class: 'link', onclick: () => use(x.query, x.variables) }, x.name))),
          editor.node, variables.node, key.node,
          who ? note('plain', h('p', { class: 'small' }, `Runs as ${who.mail}: mutations act for you.`)) : note('plain', h('p', { class: 'small' }, 'Runs as nobody: public fields only. Sign in, or give a key.')),
          h('div', { class: 'actions' }, button('Run', run, { kind: 'main' }), who ? button('Register the document', async () => {
            await gql('mutation($d: String!) { registerPersistedQuery(document: $d) { id } }', { d: editor.input.value });
            toast('Registered. Run it by its digest.', 'good');
          }) : null),
          state, out,
          details('Persisted query', h('p', { class: 'small' }, 'SHA-256 of the text above: ', hash), h('p', { class: 'small quiet' }, 'Sent as ', h('code', null, 'extensions.persistedQuery.sha256Hash'), ' with version 1, it stands for the document once that is registered.'), button('Copy the digest', async () => {
            await navigator.clipboard.writeText(hash.textContent ?? '');
            toast('Copied.', 'good');
          }))),
        h('aside', { class: 'card sticky', 'aria-label': 'Types' }, h('h2', null, 'Types'), docs)),
      section('From your program', h('div', { class: 'two' },
        h('div', { class: 'stack' }, h('h3', null, 'Ask'), h('pre', null, h('code', null, `curl ${location.origin}/graphql \\\n  -H 'authorization: Bearer vbk_…' \\\n  -H 'content-type: application/json' \\\n  -d '{"query":"{ listings { nodes { id title } } }"}'`)), copyButton(`curl ${location.origin}/graphql -H 'authorization: Bearer vbk_…' -H 'content-type: application/json' -d '{"query":"{ listings { nodes { id title } } }"}'`)),
        h('div', { class: 'stack' }, h('h3', null, 'Texts of the schema'), facts([
          ['SDL', h('a', { href: '/graphql/sdl' }, '/graphql/sdl')],
          ['Federation subgraph', h('a', { href: '/graphql/federation-sdl' }, '/graphql/federation-sdl')],
          ['Errors', 'errors[0].extensions.code is stable; message is for people'],
          ['Money', 'decimal strings of hundredths of a credit'],
          ['Twice', 'the header Idempotency-Key makes a mutation happen once'],
        ]))))),
  };
}

/** @param {any} ref @returns {string} */
function kindOf(ref) {
  return ref.ofType ? kindOf(ref.ofType) : ref.kind;
}
