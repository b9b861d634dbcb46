// @ts-check
/** The shell: which page a path is, the header, what is around every page. */
import { ApiError } from './lib/api.js';
import { h, put } from './lib/dom.js';
import { find } from './lib/router.js';
import { askToSignIn, hasRole, isStaff, loadSession, onSession, session, signOut } from './lib/session.js';
import { announce, button, empty, failure, linkButton, loading, toast } from './lib/base.js';

/** @typedef {import('./lib/router.js').Route} Route */

/** @type {Route[]} */
const ROUTES = [
  // Public
  { path: '/', load: () => import('./pages/home.js') },
  { path: '/promise', load: () => import('./pages/promise.js') },
  { path: '/verify', load: () => import('./pages/verify.js') },
  { path: '/api', load: () => import('./pages/api.js') },
  { path: '/signin', load: () => import('./pages/signin.js') },
  { path: '/register', load: () => import('./pages/register.js') },
  { path: '/verify-mail', load: () => import('./pages/verify-mail.js') },
  { path: '/reset-password', load: () => import('./pages/reset-password.js') },
  { path: '/unsubscribe', load: () => import('./pages/unsubscribe.js') },
  { path: '/mails', load: () => import('./pages/mails.js') },
  { path: '/listings', load: () => import('./pages/catalogue.js') },
  { path: '/listings/:id', load: () => import('./pages/listing.js') },
  // Everybody with an account
  { path: '/account', load: () => import('./pages/account.js'), signedIn: true },
  { path: '/orders', load: () => import('./pages/orders.js'), signedIn: true },
  { path: '/orders/:id', load: () => import('./pages/order.js'), signedIn: true },
  { path: '/balance', load: () => import('./pages/balance.js'), signedIn: true },
  // Buyers and partners
  { path: '/listings/:id/query', load: () => import('./pages/compose.js'), roles: ['BUYER', 'PARTNER'] },
  { path: '/partner/keys', load: () => import('./pages/partner-keys.js'), signedIn: true },
  { path: '/partner/webhooks', load: () => import('./pages/partner-webhooks.js'), signedIn: true },
  // Custodians
  { path: '/custodian', load: () => import('./pages/custodian/dashboard.js'), roles: ['CUSTODIAN'] },
  { path: '/custodian/new', load: () => import('./pages/custodian/new.js'), roles: ['CUSTODIAN'] },
  { path: '/custodian/listings/:id', load: () => import('./pages/custodian/listing.js'), roles: ['CUSTODIAN'] },
  // Operators of pods and key nodes
  { path: '/operator', load: () => import('./pages/operator.js'), signedIn: true },
  // Staff
  { path: '/admin', load: () => import('./pages/admin/overview.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/review', load: () => import('./pages/admin/review.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/review/:id', load: () => import('./pages/admin/review-one.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/accounts', load: () => import('./pages/admin/accounts.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/cash', load: () => import('./pages/admin/cash.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/ledger', load: () => import('./pages/admin/ledger.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/machines', load: () => import('./pages/admin/machines.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/audit', load: () => import('./pages/admin/audit.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/alarms', load: () => import('./pages/admin/alarms.js'), roles: ['ADMIN', 'AUDITOR'] },
  { path: '/admin/mails', load: () => import('./pages/admin/mails.js'), roles: ['ADMIN', 'AUDITOR'] },
];

/** What the header offers. @returns {{label: string, href: string}[]} */
function navigation() {
  const links = [{ label: 'Datasets', href: '/listings' }];
  if (hasRole('BUYER', 'PARTNER')) links.push({ label: 'Orders', href: '/orders' });
  if (hasRole('CUSTODIAN')) links.push({ label: 'Custodian', href: '/custodian' });
  if (isStaff()) links.push({ label: hasRole('ADMIN') ? 'Admin' : 'Audit', href: '/admin' });
  if (hasRole('PARTNER')) links.push({ label: 'Partner', href: '/partner/keys' });
  links.push({ label: 'Verify', href: '/verify' });
  if (!session()) links.push({ label: 'What we promise', href: '/promise' }, { label: 'API', href: '/api' });
  return links;
}

/** What the account's menu offers. */
function personal() {
  return [
    { label: 'Account', href: '/account' },
    { label: 'Balance', href: '/balance' },
    ...(hasRole('BUYER', 'PARTNER', 'CUSTODIAN') ? [{ label: 'API keys', href: '/partner/keys' }, { label: 'Webhooks', href: '/partner/webhooks' }] : []),
    ...(isStaff() ? [] : [{ label: 'Pods and key nodes', href: '/operator' }]),
    { label: 'API', href: '/api' },
    { label: 'What we promise', href: '/promise' },
  ];
}

/** @param {string} href */
function here(href) {
  const at = location.pathname;
  return href === at || (href !== '/' && at.startsWith(`${href}/`)) || (href === '/partner/keys' && at.startsWith('/partner/'));
}

function drawHeader() {
  const top = document.getElementById('top');
  if (!top) return;
  const who = session();
  /** @param {{label: string, href: string}} l */
  const item = (l) => h('li', null, h('a', { href: l.href, ...(here(l.href) ? { 'aria-current': l.href === location.pathname ? 'page' : 'true' } : {}) }, l.label));
  const menu = who
    ? h('details', { class: 'menu' },
      h('summary', null, h('span', { class: 'who' }, who.name)),
      h('div', { class: 'menu-body' },
        h('p', { class: 'small quiet' }, who.mail),
        h('ul', null, personal().map(item)),
        button('Sign out', async () => {
          await signOut();
          toast('Signed out.');
          go('/');
        })))
    : h('div', { class: 'actions' }, h('a', { class: 'button quiet', href: signInPath() }, 'Sign in'), h('a', { class: 'button main', href: '/register' }, 'Register'));
  put(top, h('div', { class: 'wrap bar' },
    h('a', { class: 'brand', href: '/', 'aria-label': 'Veilbourse, first page' }, h('img', { src: '/assets/icon.svg', alt: '', width: 26, height: 26 }), h('span', null, 'Veilbourse')),
    h('nav', { 'aria-label': 'Main' }, h('ul', null, navigation().map(item))),
    menu),
  who && !who.verified ? h('div', { class: 'strip' }, h('div', { class: 'wrap' }, 'Your mail address is not confirmed yet. ', h('a', { href: '/verify-mail' }, 'Confirm it'), ' to list, order and move money.')) : null);
}

function drawFooter() {
  const foot = document.getElementById('foot');
  if (!foot) return;
  put(foot, h('div', { class: 'wrap' },
    h('p', null, 'Veilbourse: insight from data that nobody is allowed to see.'),
    h('nav', { 'aria-label': 'More' }, h('ul', null,
      [['What we promise', '/promise'], ['Verify a receipt', '/verify'], ['API', '/api'], ['Mails', '/mails']].map(([label, href]) => h('li', null, h('a', { href }, label)))))));
}

/** @param {{label: string, href?: string}[] | undefined} crumbs */
function drawCrumbs(crumbs) {
  const nav = document.getElementById('crumbs');
  if (!nav) return;
  nav.hidden = !crumbs || crumbs.length === 0;
  put(nav, crumbs ? h('ol', null, h('li', null, h('a', { href: '/' }, 'Veilbourse')), crumbs.map((c, i) => h('li', null, c.href && i < crumbs.length - 1 ? h('a', { href: c.href }, c.label) : h('span', { 'aria-current': 'page' }, c.label)))) : null);
}

function signInPath() {
  const back = location.pathname + location.search + location.hash;
  return ['/', '/signin', '/register'].includes(location.pathname) ? '/signin' : `/signin?to=${encodeURIComponent(back)}`;
}

// Moving between pages

/** @type {{abort: AbortController, leave?: (() => void | boolean) | undefined, busy?: (() => boolean) | undefined, door?: boolean | undefined, path: string} | null} */
let present = null;
/** How often in a row a page's code could not be fetched. */
let unfetched = 0;
let turn = 0;
/** Where each entry of the history was scrolled to. @type {Map<string, number>} */
const scrolls = new Map();

/** The entry of the history, by a name of its own. */
function entry() {
  return String(history.state?.at ?? 'first');
}

/**
 * Goes to one of our paths.
 * @param {string} path
 * @param {{replace?: boolean}} [options]
 */
export function go(path, options = {}) {
  const to = new URL(path, location.href);
  if (to.origin !== location.origin) throw new Error('not one of our pages');
  if (present?.leave && present.leave() === false) return;
  if (present) present.leave = undefined;
  scrolls.set(entry(), scrollY);
  const state = { at: crypto.randomUUID() };
  if (options.replace) history.replaceState(state, '', to);
  else history.pushState(state, '', to);
  void show();
}

/** @param {{back?: boolean, first?: boolean}} [how] */
async function show(how = {}) {
  turn += 1;
  const mine = turn;
  present?.leave?.();
  present?.abort.abort();
  const abort = new AbortController();
  const path = location.pathname;
  /** @type {NonNullable<typeof present>} */
  const now = { abort, path };
  present = now;
  drawHeader();
  const main = document.getElementById('main');
  if (!main) return;
  const slow = setTimeout(() => {
    if (mine === turn) put(main, loading('Loading the page', 6));
  }, 120);
  /** @type {import('./lib/router.js').PageView} */
  let view;
  try {
    view = await open(path, abort.signal);
  } catch (e) {
    if (mine !== turn || (e instanceof DOMException && e.name === 'AbortError')) return;
    // An id that is none names nothing.
    const gone = e instanceof Error && 'code' in e && (e.code === 'NOT_FOUND' || (e.code === 'INVALID' && /not a UUID/.test(e.message)));
    view = {
      title: gone ? 'Not found' : 'Something went wrong',
      node: h('div', { class: 'stack' }, h('h1', null, gone ? 'Not found' : 'This page could not be shown'), gone ? empty('There is nothing here that you may see.', 'It may be gone, or belong to somebody else.', linkButton('Datasets', '/listings')) : failure(e, () => {
        // Some browsers keep a module that was not fetched as failed; loading the whole
        // page anew helps there, and closes an open vault: the second time only.
        if (unfetched > 1) location.reload();
        else void show();
      })),
    };
  } finally {
    clearTimeout(slow);
  }
  if (mine !== turn) {
    view.leave?.();
    return;
  }
  now.leave = view.leave;
  now.busy = view.busy;
  now.door = view.door;
  document.title = path === '/' ? 'Veilbourse' : `${view.title} · Veilbourse`;
  drawCrumbs(view.crumbs);
  document.body.classList.toggle('wide', view.wide ?? false);
  put(main, view.node);
  if (how.first) return;
  announce(view.title);
  const target = location.hash ? document.getElementById(location.hash.slice(1)) : null;
  if (target) target.scrollIntoView();
  else if (how.back) scrollBack(scrolls.get(entry()) ?? 0);
  else scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

/**
 * Scrolls to where one was, as soon as what the page fetches makes it as long
 * as it was; gives up when somebody scrolls or after two seconds.
 * @param {number} y
 */
function scrollBack(y) {
  const mine = turn;
  const until = performance.now() + 2_000;
  let own = true;
  const other = () => {
    own = false;
  };
  const events = /** @type {const} */ (['wheel', 'touchstart', 'keydown', 'pointerdown']);
  for (const e of events) addEventListener(e, other, { once: true, passive: true });
  const step = () => {
    if (own && mine === turn) scrollTo(0, y);
    if (own && mine === turn && Math.abs(scrollY - y) > 1 && performance.now() < until) requestAnimationFrame(step);
    else for (const e of events) removeEventListener(e, other);
  };
  step();
}

/**
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {Promise<import('./lib/router.js').PageView>}
 */
async function open(path, signal) {
  const found = find(ROUTES, path);
  if (!found) {
    return { title: 'Not found', node: h('div', { class: 'stack' }, h('h1', null, 'No such page'), empty('This address leads nowhere.', 'Perhaps it was cut off when it was copied.', linkButton('First page', '/'))) };
  }
  const { route, params } = found;
  if ((route.signedIn || route.roles) && !session()) return mustSignIn();
  if (route.roles && !hasRole(...route.roles)) return wrongRole(route.roles);
  const module = await route.load().catch(() => {
    unfetched += 1;
    throw new ApiError('PAGE_FETCH', 'This page could not be fetched: the marketplace cannot be reached, or is another version by now. Is your connection up?');
  });
  unfetched = 0;
  return module.page({
    params, query: new URLSearchParams(location.search), hash: location.hash.slice(1), path, account: session(), signal, go,
    refresh: () => void show(),
  });
}

/** @returns {import('./lib/router.js').PageView} */
function mustSignIn() {
  return {
    title: 'Sign in', door: true,
    node: h('div', { class: 'narrow' }, h('h1', null, 'Sign in to see this page'),
      h('p', null, 'It shows what belongs to an account.'),
      h('div', { class: 'actions' },
        button('Sign in', async () => {
          if (await askToSignIn()) void show();
        }, { kind: 'main' }), linkButton('Register', '/register'))),
  };
}

/**
 * @param {string[]} roles
 * @returns {import('./lib/router.js').PageView}
 */
function wrongRole(roles) {
  const names = roles.map((r) => r.toLowerCase()).join(' or ');
  return {
    title: 'Not for this account',
    node: h('div', { class: 'narrow' }, h('h1', null, `This page is for a ${names}`),
      h('p', null, `You are signed in as ${session()?.mail ?? 'nobody'}, whose roles are ${session()?.roles.map((r) => r.toLowerCase()).join(', ') ?? 'none'}. Roles are chosen at registration; sign in with another account to use this page.`),
      h('div', { class: 'actions' }, linkButton('First page', '/', 'main'))),
  };
}

document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const a = event.target instanceof Element ? event.target.closest('a') : null;
  const menu = document.querySelector('details.menu[open]');
  if (menu instanceof HTMLDetailsElement && event.target instanceof Node && (!menu.contains(event.target) || a)) menu.open = false;
  if (!a || a.target || a.hasAttribute('download') || !a.getAttribute('href')) return;
  const to = new URL(a.href, location.href);
  if (to.origin !== location.origin || /^\/(v1|graphql|assets|metrics|healthz|readyz)(\/|$)/.test(to.pathname)) return;
  if (to.pathname === location.pathname && to.search === location.search && to.hash) return;
  event.preventDefault();
  go(to.pathname + to.search + to.hash);
});
document.addEventListener('keydown', (event) => {
  const menu = document.querySelector('details.menu[open]');
  if (event.key === 'Escape' && menu instanceof HTMLDetailsElement) {
    menu.open = false;
    menu.querySelector('summary')?.focus();
  }
});
addEventListener('popstate', () => {
  // A jump within the page is no new page.
  if (present && location.pathname === present.path && location.hash && document.getElementById(location.hash.slice(1))) return;
  void show({ back: true });
});
// Going away from all pages: the browser asks in its own words, and only where
// work in memory would be lost.
addEventListener('beforeunload', (event) => {
  if (present?.busy?.()) event.preventDefault();
});
history.scrollRestoration = 'manual';

onSession((now, pageIsTheirs) => {
  drawHeader();
  // Who waited at the page's door comes in.
  if (present && (!pageIsTheirs || (now && present.door))) void show();
});

drawFooter();
await loadSession().catch(() => {});
await show({ first: true });
