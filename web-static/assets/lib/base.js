// @ts-check
/** Parts that every page uses: messages, states, buttons, facts. Forms, dialogs and tables are in ui.js. */
import { ApiError } from './api.js';
import { freshId, h, put, s } from './dom.js';

/** @typedef {import('./dom.js').Child} Child */

// Messages

/**
 * Says something to a screen reader without showing it.
 * @param {string} text
 */
export function announce(text) {
  const live = document.getElementById('live');
  if (live) live.textContent = text;
}

/**
 * A short message that goes by itself.
 * @param {string} text
 * @param {'good' | 'bad' | 'plain'} [kind]
 */
export function toast(text, kind = 'plain') {
  const all = document.getElementById('toasts');
  if (!all) return;
  const t = h('div', { class: `toast ${kind}` }, h('span', null, text), h('button', { type: 'button', class: 'plain', 'aria-label': 'Dismiss', onclick: () => t.remove() }, '×'));
  all.append(t);
  while (all.children.length > 4) all.firstElementChild?.remove();
  setTimeout(() => t.remove(), kind === 'bad' ? 12_000 : 6_000);
}

/**
 * What went wrong in words for people, with what to do.
 * @param {unknown} e
 * @returns {string}
 */
export function problem(e) {
  if (e instanceof ApiError || (e instanceof Error && 'code' in e)) {
    const a = /** @type {ApiError} */ (e);
    if (a.code === 'RATE_LIMITED') return `Too much at once: try again in ${a.retryAfterSeconds ?? 10} seconds.`;
    if (a.code === 'QUEUE_FULL') return `All pods are busy. Try again in ${a.retryAfterSeconds ?? 60} seconds; nothing was taken.`;
    if (a.code === 'UNAUTHENTICATED') return 'You are not signed in.';
    if (a.code === 'FORBIDDEN') return `Your account may not do this. ${sentence(a.message)}`;
    if (a.code === 'MAIL_UNVERIFIED') return 'Confirm your mail address first: follow the link in the letter that we sent, or ask for another under Account.';
    const text = sentence(a.message);
    return a.limit !== undefined && !a.message.includes(a.limit) ? `${text} (limit ${a.limit}${a.value === undefined ? '' : `, given ${a.value}`})` : text;
  }
  return e instanceof Error ? sentence(e.message) : String(e);
}

/** @param {string} text */
function sentence(text) {
  const t = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?)]$/.test(t) ? t : `${t}.`;
}

// States

/** A page or part that is being fetched. @param {string} [what] @param {number} [lines] */
export function loading(what = 'Loading', lines = 4) {
  return h('div', { class: 'skeleton', role: 'status' }, h('span', { class: 'hidden' }, `${what}…`), Array.from({ length: lines }, (_, i) => h('span', { class: `bone b${i % 4}`, 'aria-hidden': 'true' })));
}

/**
 * Nothing there, and what to do about it.
 * @param {string} title
 * @param {Child} text
 * @param {Child} [action]
 */
export function empty(title, text, action) {
  return h('div', { class: 'empty' }, h('p', { class: 'strong' }, title), h('p', { class: 'quiet' }, text), action);
}

/**
 * What failed, with a way to try again.
 * @param {unknown} e
 * @param {() => void} [retry]
 */
export function failure(e, retry) {
  const code = e instanceof Error && 'code' in e ? String(e.code) : '';
  return h('div', { class: 'note bad', role: 'alert' },
    h('p', null, problem(e)),
    code ? h('p', { class: 'small quiet' }, 'Code ', h('code', null, code)) : null,
    retry ? button('Try again', retry) : null);
}

/**
 * A remark in a box.
 * @param {'plain' | 'good' | 'warn' | 'bad'} kind
 * @param {...Child} children
 */
export function note(kind, ...children) {
  return h('div', { class: `note ${kind}`, ...(kind === 'bad' ? { role: 'alert' } : {}) }, children);
}

/**
 * Shows a promise: skeleton, then its node or what failed.
 * @param {() => Promise<Node>} load
 * @param {string} [what]
 */
export function later(load, what) {
  const box = h('div');
  const run = () => {
    put(box, loading(what));
    load().then((n) => put(box, n), (e) => {
      if (e instanceof DOMException && e.name === 'AbortError') return;
      put(box, failure(e, run));
    });
  };
  run();
  return { node: box, reload: run };
}

// Buttons

/**
 * A button; while what it does is under way it is busy and cannot be pressed
 * again, and what fails is a message.
 * @param {Child} label
 * @param {(event: Event) => void | Promise<unknown>} act
 * @param {{kind?: 'main' | 'danger' | 'quiet' | '', disabled?: boolean, title?: string, label?: string}} [options]
 */
export function button(label, act, options = {}) {
  const b = h('button', {
    type: 'button', class: options.kind ? `button ${options.kind}` : 'button', disabled: options.disabled ?? false, title: options.title ?? null, 'aria-label': options.label ?? null,
    /** @param {Event} event */
    async onclick(event) {
      if (b.getAttribute('aria-busy') === 'true') return;
      b.setAttribute('aria-busy', 'true');
      try {
        await act(event);
      } catch (e) {
        if (!(e instanceof DOMException && e.name === 'AbortError')) toast(problem(e), 'bad');
      } finally {
        b.removeAttribute('aria-busy');
      }
    },
  }, label);
  return b;
}

/**
 * A link that looks like a button.
 * @param {Child} label
 * @param {string} href
 * @param {'main' | 'quiet' | ''} [kind]
 */
export function linkButton(label, href, kind = '') {
  return h('a', { class: `button ${kind}`, href }, label);
}

/**
 * Copies a text.
 * @param {string} text
 * @param {string} [what]
 */
export function copyButton(text, what = 'Copy') {
  const b = button(what, async () => {
    await navigator.clipboard.writeText(text);
    b.textContent = 'Copied';
    announce('Copied');
    setTimeout(() => {
      b.textContent = what;
    }, 1_500);
  }, { kind: 'quiet' });
  b.classList.add('small');
  return b;
}

/**
 * A digest or key: its beginning, whole as title, copied by a press.
 * @param {string | null | undefined} value
 * @param {number} [shown]
 */
export function hash(value, shown = 12) {
  if (!value) return h('span', { class: 'quiet' }, 'none');
  const short = value.length > shown + 2 ? `${value.slice(0, shown)}…` : value;
  const b = h('button', {
    type: 'button', class: 'hash', title: `${value} (press to copy)`,
    async onclick() {
      try {
        await navigator.clipboard.writeText(value);
        toast('Copied', 'good');
      } catch {
        toast(value);
      }
    },
  }, short, h('span', { class: 'hidden' }, ', copy'));
  return b;
}

// Shapes

/**
 * Names and values.
 * @param {readonly ([Child, Child] | null | false)[]} pairs
 * @param {string} [kind]
 */
export function facts(pairs, kind = '') {
  return h('dl', { class: `facts ${kind}` }, pairs.filter((p) => !!p).map((p) => h('div', null, h('dt', null, p[0]), h('dd', null, p[1]))));
}

/**
 * A figure with its name.
 * @param {Child} name
 * @param {Child} value
 * @param {Child} [more]
 */
export function figure(name, value, more) {
  return h('div', { class: 'stat' }, h('dt', null, name), h('dd', null, value), more ? h('dd', { class: 'small quiet' }, more) : null);
}

/** Figures side by side. @param {...Child} children */
export function figures(...children) {
  return h('dl', { class: 'stats' }, children);
}

/**
 * A section with its heading.
 * @param {string} title
 * @param {Child} body
 * @param {{lead?: Child, actions?: Child, id?: string, level?: 2 | 3}} [o]
 */
export function section(title, body, o = {}) {
  const id = o.id ?? freshId('s');
  return h('section', { class: 'section' },
    h('header', { class: 'section-head' }, h(o.level === 3 ? 'h3' : 'h2', { id }, title), o.actions ? h('div', { class: 'actions' }, o.actions) : null),
    o.lead ? h('p', { class: 'lead' }, o.lead) : null, body);
}

/**
 * A page's head.
 * @param {Child} title
 * @param {{lead?: Child, actions?: Child, above?: Child}} [o]
 */
export function heading(title, o = {}) {
  return h('header', { class: 'page-head' }, h('div', null, o.above, h('h1', null, title), o.lead ? h('p', { class: 'lead' }, o.lead) : null), o.actions ? h('div', { class: 'actions' }, o.actions) : null);
}

/** @type {Record<string, string>} */
const STATE_KINDS = {
  published: 'good', released: 'good', approved: 'good', active: 'good', sent: 'good', accepted: 'good', posted: 'good', delivered: 'good', proven: 'good', succeeded: 'good',
  draft: '', submitted: 'warn', pending: 'warn', waiting: 'warn', paused: 'warn', leased: 'busy', funded: 'busy', evaluated: 'busy', verified: 'busy', opening: 'busy', committed: 'busy', sending: 'busy',
  rejected: 'bad', refunded: 'bad', refused: 'bad', failed: 'bad', suspended: 'bad', voided: '', withdrawn: '', deleted: '', critical: 'bad', warning: 'warn', info: '',
};

/**
 * A state as a label; never by colour alone.
 * @param {string} state
 * @param {string} [text]
 */
export function badge(state, text) {
  const kind = STATE_KINDS[state.toLowerCase()] ?? '';
  return h('span', { class: `badge ${kind}` }, text ?? state.toLowerCase().replaceAll('_', ' '));
}

/** A label without a state. @param {Child} text */
export function tag(text) {
  return h('span', { class: 'tag' }, text);
}

/**
 * What is said only when asked for.
 * @param {string} summary
 * @param {...Child} body
 */
export function details(summary, ...body) {
  return h('details', null, h('summary', null, summary), h('div', { class: 'body' }, body));
}

/** @param {...Child} body */
export function proven(...body) {
  return details('How this is proven', ...body);
}

/**
 * A tick or a cross with its meaning as text.
 * @param {boolean} yes
 * @param {string} text
 */
export function mark(yes, text) {
  return h('span', { class: `mark ${yes ? 'yes' : 'no'}` }, s('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' }, yes ? s('path', { d: 'M3 8.5l3.2 3.2L13 5' }) : s('path', { d: 'M4 4l8 8M12 4l-8 8' })), h('span', null, text));
}
