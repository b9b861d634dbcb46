// @ts-check
/**
 * Elements and text. Nothing here or elsewhere takes markup: strings become
 * text nodes, so what a custodian or buyer wrote is shown and never run.
 */

/** @typedef {Node | string | number | bigint | false | null | undefined} Leaf */
/** @typedef {Leaf | readonly Child[]} Child */
/** @typedef {Record<string, unknown>} Attributes */

const SVG = 'http://www.w3.org/2000/svg';
/** What an href or src may begin with. */
const LINK = /^(\/(?!\/)|#|\?|https?:\/\/|mailto:|blob:|data:image\/)/;

/**
 * @param {Element} e
 * @param {Attributes | null | undefined} attributes
 */
function dress(e, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on') && typeof value === 'function') {
      e.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === 'value' || name === 'checked' || name === 'selected' || name === 'indeterminate') {
      Reflect.set(e, name, value);
    } else {
      const text = value === true ? '' : String(value);
      if ((name === 'href' || name === 'src') && text && !LINK.test(text)) throw new Error(`no link: ${text}`);
      if (name === 'style') throw new Error('inline styles are refused by the page policy');
      e.setAttribute(name, text);
    }
  }
}

/**
 * @param {Node} to
 * @param {readonly Child[]} children
 */
function fill(to, children) {
  for (const c of children) {
    if (c === null || c === undefined || c === false) continue;
    if (Array.isArray(c)) fill(to, c);
    else if (c instanceof Node) to.appendChild(c);
    else to.appendChild(document.createTextNode(String(c)));
  }
}

/**
 * An element. Attributes beginning with `on` are listeners; `true` is an
 * attribute without a value; `false`, null and undefined are none.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes | null} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes, ...children) {
  const e = document.createElement(tag);
  fill(e, children);
  // Long lines are scrolled, by the keyboard too.
  if (tag === 'pre') e.tabIndex = 0;
  // After the children, so that a select takes its value.
  dress(e, attributes);
  return e;
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Attributes | null} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(tag, attributes, ...children) {
  const e = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  dress(e, attributes);
  fill(e, children);
  return e;
}

/**
 * Puts children in place of what an element holds.
 * @template {Element} E
 * @param {E} e
 * @param {...Child} children
 * @returns {E}
 */
export function put(e, ...children) {
  e.replaceChildren();
  fill(e, children);
  return e;
}

/**
 * A piece without an element of its own.
 * @param {...Child} children
 */
export function pieces(...children) {
  const f = document.createDocumentFragment();
  fill(f, children);
  return f;
}

let ids = 0;
/**
 * A fresh id, for labels and descriptions.
 * @param {string} [what]
 */
export function freshId(what = 'x') {
  ids += 1;
  return `${what}-${ids}`;
}

// Text. Amounts and counts are strings of digits on the wire: 64 bits do not
// fit a double, so they are never made one.

/**
 * Digits in groups of three.
 * @param {string | number | bigint} value a whole number
 */
export function count(value) {
  const text = String(value);
  if (!/^-?\d+$/.test(text)) return text;
  const [sign, digits] = text.startsWith('-') ? ['−', text.slice(1)] : ['', text];
  return sign + digits.replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/**
 * Minor units as credits: "123456" is "1 234.56".
 * @param {string | number | bigint} minor
 */
export function money(minor) {
  const v = BigInt(minor);
  const a = v < 0n ? -v : v;
  return `${v < 0n ? '−' : ''}${count(a / 100n)}.${String(a % 100n).padStart(2, '0')}`;
}

/**
 * The same with the unit.
 * @param {string | number | bigint} minor
 */
export function credits(minor) {
  return `${money(minor)}\u00a0cr`;
}

/** Most minor units that the marketplace takes as an amount. */
export const MOST_MINOR = 1_000_000_000_000_000n;

/**
 * Credits as somebody writes them, in minor units.
 * @param {string} text
 * @returns {bigint}
 * @throws {RangeError} in words
 */
export function parseMoney(text) {
  const t = text.trim().replace(/[\s_']/g, '').replace(',', '.');
  const m = /^(\d{1,14})(?:\.(\d{1,2}))?$/.exec(t);
  if (!m) throw new RangeError(`“${text.trim()}” is no amount: write credits as 25 or 25.50, at most two decimals`);
  const v = BigInt(m[1] ?? '0') * 100n + BigInt((m[2] ?? '').padEnd(2, '0'));
  if (v > MOST_MINOR) throw new RangeError(`at most ${credits(MOST_MINOR)}, not ${credits(v)}`);
  return v;
}

/**
 * The sum of amounts in minor units, exactly.
 * @param {Iterable<string | bigint>} amounts
 */
export function total(amounts) {
  let sum = 0n;
  for (const a of amounts) sum += BigInt(a);
  return sum;
}

/**
 * A real number at so many significant digits.
 * @param {number} x
 * @param {number} [digits]
 */
export function real(x, digits = 6) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? 'n/a' : x > 0 ? '∞' : '−∞';
  if (x === 0) return '0';
  const a = Math.abs(x);
  let t;
  if (a >= 1e9 || a < 1e-4) {
    const [m, e] = a.toExponential(digits - 1).split('e');
    t = `${trim(m ?? '0')}e${Number(e)}`;
  } else if (a >= 10 ** (digits - 1)) {
    t = String(Math.round(a));
  } else {
    t = trim(a.toPrecision(digits));
  }
  return (x < 0 ? '−' : '') + t;
}

/** @param {string} t */
function trim(t) {
  return t.includes('.') ? t.replace(/\.?0+$/, '') : t;
}

/**
 * Bytes for people.
 * @param {string | number | bigint} n
 */
export function bytes(n) {
  let v = Number(n);
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (v >= 1024 && i < units.length - 1) {
    v /= 1024;
    i += 1;
  }
  return `${i === 0 ? v : v.toFixed(v < 10 ? 2 : 1)} ${units[i]}`;
}

/**
 * A share, as per cent.
 * @param {number} x 0 to 1
 * @param {number} [decimals]
 */
export function percent(x, decimals = 0) {
  return `${(x * 100).toFixed(decimals)} %`;
}

/**
 * Basis points as per cent.
 * @param {number} bp
 */
export function basisPoints(bp) {
  return `${trim((bp / 100).toFixed(2))} %`;
}

/**
 * A span of time.
 * @param {number} seconds
 */
export function span(seconds) {
  const x = Math.max(0, Math.round(seconds));
  if (x < 60) return `${x} s`;
  if (x < 3600) return `${Math.floor(x / 60)} min${x % 60 ? ` ${x % 60} s` : ''}`;
  if (x < 86400) return `${Math.floor(x / 3600)} h${Math.floor((x % 3600) / 60) ? ` ${Math.floor((x % 3600) / 60)} min` : ''}`;
  return `${Math.floor(x / 86400)} d${Math.floor((x % 86400) / 3600) ? ` ${Math.floor((x % 86400) / 3600)} h` : ''}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * Milliseconds since the epoch as local date and time.
 * @param {string | number} ms
 */
export function moment(ms) {
  const d = new Date(Number(ms));
  if (Number.isNaN(d.getTime())) return String(ms);
  return `${day(ms)}, ${String(d.getHours()).padStart(2, '0')}:${String(d.getMinutes()).padStart(2, '0')}`;
}

/**
 * The local date alone.
 * @param {string | number} ms
 */
export function day(ms) {
  const d = new Date(Number(ms));
  return `${d.getDate()} ${MONTHS[d.getMonth()]} ${d.getFullYear()}`;
}

/**
 * How far from now, in words.
 * @param {string | number} ms
 * @param {number} [now]
 */
export function ago(ms, now = Date.now()) {
  const s = (now - Number(ms)) / 1000;
  const a = Math.abs(s);
  if (a < 45) return s >= 0 ? 'just now' : 'in a moment';
  const pick = a < 3600 ? [Math.round(a / 60), 'min'] : a < 86400 ? [Math.round(a / 3600), 'h'] : [Math.round(a / 86400), Math.round(a / 86400) === 1 ? 'day' : 'days'];
  return s >= 0 ? `${pick[0]} ${pick[1]} ago` : `in ${pick[0]} ${pick[1]}`;
}

/**
 * A `time` element: the date, with how long ago as its title.
 * @param {string | number | null | undefined} ms
 * @param {{relative?: boolean}} [options]
 */
export function when(ms, options = {}) {
  if (ms === null || ms === undefined || ms === '') return h('span', { class: 'quiet' }, 'never');
  const d = new Date(Number(ms));
  const iso = Number.isNaN(d.getTime()) ? '' : d.toISOString();
  return options.relative
    ? h('time', { datetime: iso, title: moment(ms) }, ago(ms))
    : h('time', { datetime: iso, title: ago(ms) }, moment(ms));
}

/**
 * Singular or plural with its number.
 * @param {string | number | bigint} n
 * @param {string} one
 * @param {string} [many]
 */
export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${String(n) === '1' ? one : many}`;
}

/**
 * SCREAMING_SNAKE or snake_case as words.
 * @param {string} name
 */
export function words(name) {
  return name.toLowerCase().replaceAll('_', ' ').replaceAll('-', ' ');
}
