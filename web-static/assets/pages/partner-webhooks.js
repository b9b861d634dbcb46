// @ts-check
/** Webhooks: where events go, what came of each. */
import { gql } from '../lib/api.js';
import { count, h, plural, put, when, words } from '../lib/dom.js';
import { ask, badge, button, confirm, details, dialog, empty, facts, field, heading, later, note, pages, section, table, tag, toast } from '../lib/ui.js';
import { showSecret } from './partner-keys.js';

const HOOK = 'id url events enabled createdAt failingSince disabledAt disabledReason previousSecretUntil';
const DELIVERY = 'id sequence event body createdAt state nextAt deliveredAt attempts { at status milliseconds excerpt error }';
const EVENTS = [
  ['ORDER_PLACED', 'an order was placed'], ['ORDER_PROGRESS', 'it went on'], ['ORDER_RELEASED', 'its result is there and paid'], ['ORDER_REFUNDED', 'its price went back'],
  ['LISTING_SUBMITTED', 'a listing waits for review'], ['LISTING_PUBLISHED', 'it was published'], ['LISTING_REJECTED', 'it was sent back'], ['BUDGET_LOW', 'little is left of a quota'], ['CASH_DECIDED', 'a deposit or withdrawal was decided'],
];

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const log = h('div');
  /** @type {any[]} */
  let hooks = [];
  const list = later(async () => {
    hooks = (await gql(`{ webhooks { ${HOOK} } }`, {}, { signal: ctx.signal })).webhooks;
    drawLog();
    return hooks.length === 0
      ? empty('No webhooks yet', 'A webhook tells your program of orders, listings and money as they happen: signed, in order, at least once.', button('Make a webhook', make, { kind: 'main' }))
      : h('ul', { class: 'cards' }, hooks.map((w) => h('li', null, h('article', { class: 'card' },
        h('div', { class: 'row spread' }, h('h2', { class: 'mono break' }, w.url), w.enabled ? w.failingSince ? badge('warning', 'failing') : badge('active') : badge('paused', 'disabled')),
        h('div', { class: 'tags' }, w.events.map((/** @type {string} */ e) => tag(words(e)))),
        w.failingSince && w.enabled ? note('warn', h('p', null, 'Every attempt since ', when(w.failingSince), ' failed. What waits is tried again for a day.')) : null,
        w.disabledAt ? note('bad', h('p', null, 'Disabled ', when(w.disabledAt), w.disabledReason ? `: ${w.disabledReason}` : '', '. Repair the receiver, then turn it on again.')) : null,
        w.previousSecretUntil && Number(w.previousSecretUntil) > Date.now() ? h('p', { class: 'small quiet' }, 'Signed with the secret before the newest, too, until ', when(w.previousSecretUntil), '.') : null,
        h('div', { class: 'actions' },
          button('Send a test', () => test(w)), button('Deliveries', () => follow(w.id)), button('Change', () => change(w), { kind: 'quiet' }),
          button(w.enabled ? 'Turn off' : 'Turn on', async () => {
            await gql('mutation($id: String!, $on: Boolean!) { updateWebhook(id: $id, enabled: $on) { id } }', { id: w.id, on: !w.enabled });
            list.reload();
          }, { kind: 'quiet' }),
          button('New secret', () => rotate(w), { kind: 'quiet' }), button('Delete', () => remove(w), { kind: 'quiet' }))))));
  }, 'Loading webhooks');

  let followed = ctx.query.get('webhook') ?? '';
  /** @param {string} id */
  function follow(id) {
    followed = id;
    history.replaceState(history.state, '', `?webhook=${encodeURIComponent(id)}`);
    drawLog();
    log.scrollIntoView({ block: 'nearest' });
  }
  function drawLog() {
    const hook = hooks.find((w) => w.id === followed) ?? hooks[0];
    if (!hook) {
      put(log);
      return;
    }
    const deliveries = pages({
      what: 'Loading deliveries',
      fetch: async (after) => (await gql(`query($w: String!, $after: String) { webhookDeliveries(webhook: $w, first: 20, after: $after) { nodes { ${DELIVERY} } pageInfo { hasNextPage endCursor } } }`, { w: hook.id, after }, { signal: ctx.signal })).webhookDeliveries,
      show: (/** @type {any[]} */ rows) => table({
        caption: `Deliveries to ${hook.url}`, rows, empty: empty('Nothing was sent yet', 'Send a test to see whether your program takes it.'),
        columns: [
          { label: '#', numeric: true, cell: (d) => count(d.sequence) },
          { label: 'Event', head: true, cell: (d) => words(d.event) },
          { label: 'State', cell: (d) => badge(d.state) },
          { label: 'Answer', cell: (d) => answer(d) },
          { label: 'When', cell: (d) => when(d.createdAt) },
          { label: '', cell: (d) => h('span', { class: 'row' }, button('Look', () => look(d), { kind: 'quiet', label: `Look at delivery ${d.sequence}` }), button('Send again', async () => {
            const again = (await gql(`mutation($id: String!) { redeliverWebhook(id: $id) { ${DELIVERY} } }`, { id: d.id })).redeliverWebhook;
            toast(again.state === 'delivered' ? 'Taken.' : 'Not taken.', again.state === 'delivered' ? 'good' : 'bad');
            void deliveries.reload();
          }, { kind: 'quiet', label: `Send again, delivery ${d.sequence}` })) },
        ],
      }),
    });
    put(log, section('Deliveries', h('div', { class: 'stack' }, h('p', { class: 'quiet small mono break' }, hook.url), deliveries.node), { actions: button('Reload', () => deliveries.reload(), { kind: 'quiet' }) }));
  }

  /** @param {any} [w] */
  function fields(w) {
    const url = field({ label: 'URL', name: 'url', type: 'url', required: true, value: w?.url ?? '', placeholder: 'https://', hint: 'https and reachable from the marketplace; http to its own machine where the operator allows that. Answer with a status of 200 to 299 at once.' });
    const events = EVENTS.map(([value, hint]) => ({ value: value ?? '', f: field({ label: words(value ?? ''), name: value ?? '', type: 'checkbox', hint, checked: w ? w.events.includes(value) : value?.startsWith('ORDER_') ?? false }) }));
    return {
      url, all: [url, ...events.map((x) => x.f)],
      chosen() {
        const c = events.filter((x) => x.f.checked()).map((x) => x.value);
        if (c.length === 0) throw new Error('Choose at least one event.');
        return c;
      },
    };
  }

  async function make() {
    const f = fields();
    const secret = await ask({
      title: 'Make a webhook', fields: f.all, submit: 'Make the webhook',
      act: async () => (await gql('mutation($url: String!, $events: [WebhookEvent!]!) { createWebhook(url: $url, events: $events) { secret } }', { url: f.url.value(), events: f.chosen() })).createWebhook.secret,
    });
    if (!secret) return;
    showSecret('The webhook’s secret', secret);
    list.reload();
  }

  /** @param {any} w */
  async function change(w) {
    const f = fields(w);
    if (await ask({ title: 'Change the webhook', fields: f.all, submit: 'Change', act: () => gql('mutation($id: String!, $url: String!, $events: [WebhookEvent!]!) { updateWebhook(id: $id, url: $url, events: $events) { id } }', { id: w.id, url: f.url.value(), events: f.chosen() }) })) list.reload();
  }

  /** @param {any} w */
  async function test(w) {
    const d = (await gql(`mutation($id: String!) { testWebhook(id: $id) { ${DELIVERY} } }`, { id: w.id })).testWebhook;
    look(d);
    follow(w.id);
  }

  /** @param {any} w */
  async function rotate(w) {
    if (!(await confirm({ title: 'A new secret?', yes: 'Make a new secret', body: h('p', null, 'For a day each delivery is signed with both, so that your program can change over.') }))) return;
    showSecret('The webhook’s new secret', (await gql('mutation($id: String!) { rotateWebhookSecret(id: $id) { secret } }', { id: w.id })).rotateWebhookSecret.secret);
    list.reload();
  }

  /** @param {any} w */
  async function remove(w) {
    if (!(await confirm({ title: 'Delete the webhook?', danger: true, yes: 'Delete', body: h('p', null, 'What waits to be delivered is dropped, and the log with it.') }))) return;
    await gql('mutation($id: String!) { deleteWebhook(id: $id) }', { id: w.id });
    list.reload();
  }

  return {
    title: 'Webhooks', crumbs: [{ label: 'API keys', href: '/partner/keys' }, { label: 'Webhooks' }],
    node: h('div', null,
      heading('Webhooks', { lead: 'Events sent to your program as they happen: signed, in order, at least once.', actions: button('Make a webhook', make, { kind: 'main' }) }),
      h('div', { class: 'stack-large' }, list.node, log),
      section('Checking a signature', h('div', { class: 'prose stack' },
        h('p', null, 'Each request carries ', h('code', null, 'Veilbourse-Event'), ', ', h('code', null, 'Veilbourse-Delivery'), ' (the same in every attempt: drop what you have seen) and ', h('code', null, 'Veilbourse-Signature: t=UNIX,v1=HEX'), ', the HMAC-SHA256 of the time, a dot and the body. Compare in constant time; refuse what is older than five minutes.'),
        h('pre', null, h('code', null, 'import hashlib, hmac, time\n\ndef genuine(secret, header, body):\n    parts = [p.split("=", 1) for p in header.split(",")]\n    t = next(v for k, v in parts if k == "t")\n    want = hmac.new(secret.encode(), t.encode() + b"." + body, hashlib.sha256).hexdigest()\n    fresh = abs(time.time() - int(t)) < 300\n    return fresh and any(k == "v1" and hmac.compare_digest(v, want) for k, v in parts)'))))),
  };
}

/** @param {any} d */
function answer(d) {
  const last = d.attempts[d.attempts.length - 1];
  if (!last) return h('span', { class: 'quiet' }, 'not tried yet');
  return h('span', { class: 'small' }, last.status ? `${last.status} in ${count(last.milliseconds)} ms` : last.error ?? 'no answer', d.attempts.length > 1 ? ` (${plural(d.attempts.length, 'attempt')})` : '', d.nextAt ? [', again ', when(d.nextAt, { relative: true })] : null);
}

/** @param {any} d */
function look(d) {
  let body = d.body;
  try {
    body = JSON.stringify(JSON.parse(d.body), null, 1);
  } catch {
    // Shown as it is.
  }
  dialog({
    title: `${words(d.event)}, delivery ${d.sequence}`, wide: true,
    body: [
      facts([['State', badge(d.state)], ['Delivery', h('span', { class: 'mono small break' }, d.id)], ['Happened', when(d.createdAt)], d.deliveredAt ? ['Taken', when(d.deliveredAt)] : null]),
      table({
        caption: 'Attempts', rows: /** @type {any[]} */ (d.attempts), empty: h('p', { class: 'quiet' }, 'Not tried yet.'),
        columns: [{ label: 'When', cell: (a) => when(a.at) }, { label: 'Status', numeric: true, cell: (a) => a.status ?? 'none' }, { label: 'Took', numeric: true, cell: (a) => `${count(a.milliseconds)} ms` }, { label: 'Answer', cell: (a) => h('span', { class: 'mono small break' }, a.error ?? a.excerpt) }],
      }),
      details('What was sent', h('pre', null, body)),
    ],
  });
}
