// @ts-check
/**
 * Plots as SVG, drawn at the size they are shown in so that text stays text.
 * Each has a title, a description, and the same figures as a table.
 */
import { freshId, h, put, real, s } from './dom.js';
import { table } from './ui.js';

/** @typedef {(x: number) => string} Format */

// Scales: pure.

/**
 * Round numbers between two ends, about `n` of them, the ends included by the
 * outermost.
 * @param {number} from
 * @param {number} to
 * @param {number} [n]
 * @returns {number[]}
 */
export function ticks(from, to, n = 5) {
  if (!Number.isFinite(from) || !Number.isFinite(to)) return [0, 1];
  let [a, b] = from <= to ? [from, to] : [to, from];
  if (a === b) {
    const d = a === 0 ? 1 : Math.abs(a) / 2;
    a -= d;
    b += d;
  }
  const rough = (b - a) / Math.max(1, n);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((m) => m * power >= rough * (1 - 1e-9)) ?? 10) * power;
  const first = Math.floor(a / step + 1e-9);
  const last = Math.ceil(b / step - 1e-9);
  // Counted, never walked to: beyond 2^53 adding one changes nothing, and the page
  // would hang on what a server or a custodian says.
  const many = Math.min(4 * n + 4, Math.max(1, last - first));
  /** @type {number[]} */
  const out = [];
  for (let i = 0; i <= many; i += 1) {
    const tick = Number(((first + i) * step).toPrecision(12));
    if (Number.isFinite(tick) && tick !== out[out.length - 1]) out.push(tick);
  }
  return out.length > 0 ? out : [a, b];
}

/**
 * From values to places.
 * @param {[number, number]} domain
 * @param {[number, number]} range
 */
export function scale(domain, range) {
  const [a, b] = domain;
  const width = b - a || 1;
  return (/** @type {number} */ x) => range[0] + ((x - a) / width) * (range[1] - range[0]);
}

/**
 * Shares that fill a whole: never below zero, together at most one.
 * @param {readonly number[]} values
 * @param {number} [whole]
 */
export function shares(values, whole) {
  const positive = values.map((v) => (Number.isFinite(v) && v > 0 ? v : 0));
  const sum = positive.reduce((a, b) => a + b, 0);
  const all = Math.max(whole ?? 0, sum);
  return positive.map((v) => (all > 0 ? v / all : 0));
}

/**
 * A short figure for an axis.
 * @param {number} x
 */
export function axis(x) {
  const a = Math.abs(x);
  if (a >= 1e9) return `${real(x / 1e9, 3)}G`;
  if (a >= 1e6) return `${real(x / 1e6, 3)}M`;
  if (a >= 1e4) return `${real(x / 1e3, 3)}k`;
  return real(x, 4);
}

// Drawing

/**
 * @param {{title: string, desc: string, caption?: boolean, height: number | ((width: number) => number), table: () => Node, draw: (width: number, height: number) => import('./dom.js').Child}} o
 */
function plot(o) {
  const id = freshId('plot');
  const svg = s('svg', { role: 'img', 'aria-labelledby': `${id}-t ${id}-d`, class: 'plot' });
  let drawn = 0;
  /** @param {number} width */
  const draw = (width) => {
    const w = Math.max(220, Math.round(width));
    if (w === drawn) return;
    drawn = w;
    const height = typeof o.height === 'number' ? o.height : o.height(w);
    svg.setAttribute('viewBox', `0 0 ${w} ${height}`);
    svg.setAttribute('width', String(w));
    svg.setAttribute('height', String(height));
    put(svg, s('title', { id: `${id}-t` }, o.title), s('desc', { id: `${id}-d` }, o.desc), o.draw(w, height));
  };
  const box = h('div', { class: 'plot-box' }, svg);
  new ResizeObserver((all) => {
    const w = all[0]?.contentRect.width ?? 0;
    // Outside the resize loop, which would otherwise report itself.
    if (w > 0) requestAnimationFrame(() => draw(w));
  }).observe(box);
  draw(560);
  const more = h('details', { class: 'plot-table' }, h('summary', null, 'As a table'));
  more.addEventListener('toggle', () => {
    if (more.open && more.children.length === 1) more.append(o.table());
  });
  return h('figure', { class: 'plot-figure' }, o.caption === false ? null : h('figcaption', null, o.title), box, more);
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {'start' | 'middle' | 'end'} [anchor]
 * @param {string} [kind]
 */
function label(x, y, text, anchor = 'start', kind = 'axis') {
  return s('text', { x, y, 'text-anchor': anchor, class: kind }, text);
}

/**
 * Shortened to what fits, roughly.
 * @param {string} text
 * @param {number} width
 */
function fit(text, width) {
  const n = Math.max(3, Math.floor(width / 6.6));
  return text.length <= n ? text : `${text.slice(0, n - 1)}…`;
}

/**
 * Room for names at the left: what they need, not more than a good third.
 * @param {{label: string}[]} items
 * @param {number} width
 */
function names(items, width) {
  return Math.min(Math.round(width * 0.4), 14 + Math.round(7 * Math.max(4, ...items.map((i) => i.label.length))));
}

/**
 * Bars to the right, one a line: for names.
 * @param {{title: string, desc?: string, caption?: boolean, items: {label: string, value: number, note?: string}[], format?: Format, what?: string}} o
 */
export function bars(o) {
  const f = o.format ?? ((x) => real(x, 6));
  const most = Math.max(0, ...o.items.map((i) => i.value));
  const row = 26;
  return plot({
    title: o.title, ...(o.caption === undefined ? {} : { caption: o.caption }),
    desc: o.desc ?? `${o.items.length} bars; the longest is ${f(most)}.`,
    height: Math.max(1, o.items.length) * row + 6,
    table: () => table({ caption: o.title, rows: o.items, dense: true, columns: [{ label: 'Name', cell: (i) => i.label, head: true }, { label: o.what ?? 'Value', cell: (i) => [f(i.value), i.note ? ` ${i.note}` : ''], numeric: true }] }),
    draw(w) {
      const left = names(o.items, w);
      const right = 76;
      const x = scale([0, most || 1], [0, w - left - right]);
      return o.items.map((i, n) => {
        const y = n * row + 4;
        const width = Math.max(i.value > 0 ? 2 : 0, x(i.value));
        return s('g', null, s('title', null, `${i.label}: ${f(i.value)}${i.note ? ` (${i.note})` : ''}`),
          label(left - 8, y + 14, fit(i.label, left - 8), 'end', 'name'),
          s('rect', { x: left, y: y + 2, width, height: row - 10, rx: 2, class: 'mark-a' }),
          label(left + width + 6, y + 14, f(i.value)));
      });
    },
  });
}

/**
 * Counts in bins over a range.
 * @param {{title: string, desc?: string, caption?: boolean, edges: number[], counts: number[], format?: Format, unit?: string, height?: number, what?: string}} o
 */
export function histogram(o) {
  const f = o.format ?? axis;
  const most = Math.max(1, ...o.counts);
  const [first, last] = [o.edges[0] ?? 0, o.edges[o.edges.length - 1] ?? 1];
  const unit = o.unit ? ` ${o.unit}` : '';
  return plot({
    title: o.title, ...(o.caption === undefined ? {} : { caption: o.caption }),
    desc: o.desc ?? `${o.counts.length} bins from ${f(first)} to ${f(last)}${unit}; the fullest holds ${axis(most)}.`,
    height: o.height ?? 150,
    table: () => table({
      caption: o.title, dense: true, rows: o.counts.map((n, i) => ({ from: o.edges[i] ?? 0, to: o.edges[i + 1] ?? 0, n })),
      columns: [{ label: 'From', cell: (r) => f(r.from), numeric: true }, { label: 'To', cell: (r) => f(r.to), numeric: true }, { label: o.what ?? 'Rows', cell: (r) => String(r.n), numeric: true }],
    }),
    draw(w, height) {
      const [left, bottom, top] = [6, 22, 6];
      const x = scale([first, last], [left, w - 6]);
      const y = scale([0, most], [height - bottom, top]);
      const marks = ticks(first, last, w < 360 ? 3 : 5).filter((t) => t >= first && t <= last);
      return [
        s('line', { x1: left, x2: w - 6, y1: height - bottom, y2: height - bottom, class: 'axis-line' }),
        o.counts.map((n, i) => {
          const [a, b] = [x(o.edges[i] ?? 0), x(o.edges[i + 1] ?? 0)];
          return s('rect', { x: a + 0.5, y: y(n), width: Math.max(0.5, b - a - 1), height: Math.max(0, height - bottom - y(n)), class: 'mark-a' }, s('title', null, `${f(o.edges[i] ?? 0)} to ${f(o.edges[i + 1] ?? 0)}${unit}: ${n}`));
        }),
        marks.map((t) => label(Math.min(w - 8, Math.max(10, x(t))), height - 6, f(t), x(t) > w - 24 ? 'end' : x(t) < 24 ? 'start' : 'middle')),
      ];
    },
  });
}

/**
 * Lines over time or another number; `step` holds each value until the next.
 * @param {{title: string, desc?: string, caption?: boolean, series: {label: string, points: {x: number, y: number}[]}[], step?: boolean, area?: boolean, zero?: boolean, x?: Format, y?: Format, height?: number, xName?: string, xTicks?: number[]}} o
 */
export function line(o) {
  const fx = o.x ?? axis;
  const fy = o.y ?? axis;
  const all = o.series.flatMap((q) => q.points);
  const xs = all.map((p) => p.x);
  const ys = all.map((p) => p.y);
  const [x0, x1] = xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
  const low = Math.min(...(o.zero === false ? [] : [0]), ...(ys.length ? ys : [0]));
  const high = Math.max(...(ys.length ? ys : [1]), low);
  return plot({
    title: o.title, ...(o.caption === undefined ? {} : { caption: o.caption }),
    desc: o.desc ?? o.series.map((q) => `${q.label}: ${q.points.length} points${q.points.length ? `, the last ${fy(q.points[q.points.length - 1]?.y ?? 0)}` : ''}.`).join(' '),
    height: o.height ?? 200,
    table: () => table({
      caption: o.title, dense: true, rows: o.series.flatMap((q) => q.points.map((p) => ({ q: q.label, ...p }))),
      columns: [...(o.series.length > 1 ? [{ label: 'Series', cell: (/** @type {{q: string}} */ r) => r.q }] : []), { label: o.xName ?? 'At', cell: (r) => fx(r.x), head: true }, { label: 'Value', cell: (r) => fy(r.y), numeric: true }],
    }),
    draw(w, height) {
      const yt = ticks(low, high, 4);
      const left = Math.max(...yt.map((t) => fy(t).length)) * 6.6 + 10;
      const [right, bottom, top] = [10, 24, 10];
      const x = scale([x0, x1 === x0 ? x0 + 1 : x1], [left, w - right]);
      const y = scale([yt[0] ?? low, yt[yt.length - 1] ?? high], [height - bottom, top]);
      const xt = o.xTicks ?? (x1 === x0 ? [x0] : Array.from({ length: w < 420 ? 3 : 5 }, (_, i) => x0 + ((x1 - x0) * i) / (w < 420 ? 2 : 4)));
      /** @param {{x: number, y: number}[]} points */
      const path = (points) => points.map((p, i) => {
        const at = `${x(p.x).toFixed(1)}`;
        if (i === 0) return `M${at} ${y(p.y).toFixed(1)}`;
        return o.step ? `H${at}V${y(p.y).toFixed(1)}` : `L${at} ${y(p.y).toFixed(1)}`;
      }).join('');
      return [
        yt.map((t) => [s('line', { x1: left, x2: w - right, y1: y(t), y2: y(t), class: 'grid' }), label(left - 6, y(t) + 4, fy(t), 'end')]),
        xt.map((t, i) => label(x(t), height - 6, fx(t), xt.length === 1 ? 'start' : i === 0 ? 'start' : i === xt.length - 1 ? 'end' : 'middle')),
        o.series.map((q, i) => {
          const d = path(q.points);
          const kind = ['a', 'b', 'c', 'd'][i % 4];
          const last = q.points[q.points.length - 1];
          const first = q.points[0];
          return s('g', null,
            o.area && first && last ? s('path', { d: `${d}L${x(last.x).toFixed(1)} ${y(0)}L${x(first.x).toFixed(1)} ${y(0)}Z`, class: `area-${kind}` }) : null,
            s('path', { d, class: `line-${kind}` }),
            q.points.length <= 60 ? q.points.map((p) => s('circle', { cx: x(p.x), cy: y(p.y), r: 2.5, class: `dot-${kind}` }, s('title', null, `${q.label}, ${fx(p.x)}: ${fy(p.y)}`))) : null);
        }),
        o.series.length > 1 ? o.series.map((q, i) => s('g', null, s('rect', { x: left + i * 130, y: 0, width: 10, height: 10, class: `mark-${['a', 'b', 'c', 'd'][i % 4]}` }), label(left + i * 130 + 14, 9, q.label))) : null,
      ];
    },
  });
}

/** The same, each value held until the next. @param {Parameters<typeof line>[0]} o */
export function step(o) {
  return line({ ...o, step: true });
}

/**
 * Parts of a whole in one bar.
 * @param {{title: string, desc?: string, caption?: boolean, parts: {label: string, value: number, text?: string}[], whole?: number, rest?: string, format?: Format}} o
 */
export function meter(o) {
  const f = o.format ?? ((x) => real(x, 6));
  const sh = shares(o.parts.map((p) => p.value), o.whole);
  const left = Math.max(0, (o.whole ?? 0) - o.parts.reduce((a, p) => a + Math.max(0, p.value), 0));
  const legend = [...o.parts.map((p, i) => ({ label: p.label, text: p.text ?? f(p.value), kind: ['a', 'b', 'c', 'd'][i % 4] ?? 'a' })), ...(o.whole !== undefined && o.rest ? [{ label: o.rest, text: f(left), kind: 'rest' }] : [])];
  const svg = plot({
    title: o.title, ...(o.caption === undefined ? {} : { caption: o.caption }),
    desc: o.desc ?? legend.map((l) => `${l.label}: ${l.text}`).join('; '),
    height: 18,
    table: () => table({ caption: o.title, dense: true, rows: legend, columns: [{ label: 'Part', cell: (l) => l.label, head: true }, { label: 'Value', cell: (l) => l.text, numeric: true }] }),
    draw(w) {
      let at = 0;
      return [
        s('rect', { x: 0, y: 2, width: w, height: 14, rx: 3, class: 'mark-rest' }),
        sh.map((q, i) => {
          const x = at;
          at += q * w;
          return s('rect', { x, y: 2, width: Math.max(q > 0 ? 1.5 : 0, q * w - (i < sh.length - 1 ? 1 : 0)), height: 14, rx: 2, class: `mark-${['a', 'b', 'c', 'd'][i % 4]}` }, s('title', null, `${o.parts[i]?.label}: ${legend[i]?.text}`));
        }),
      ];
    },
  });
  const keys = h('ul', { class: 'legend' }, legend.map((l) => h('li', null, s('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' }, s('rect', { width: 10, height: 10, rx: 2, class: `mark-${l.kind}` })), h('span', null, l.label), h('span', { class: 'quiet' }, l.text))));
  svg.insertBefore(keys, svg.querySelector('.plot-table'));
  return svg;
}

/**
 * Values with what they may be off by.
 * @param {{title: string, desc?: string, caption?: boolean, items: {label: string, value: number, low: number, high: number}[], format?: Format, bound?: string}} o
 */
export function intervals(o) {
  const f = o.format ?? ((x) => real(x, 6));
  const ends = o.items.flatMap((i) => [i.low, i.high, i.value]).filter(Number.isFinite);
  const [a, b] = ends.length ? [Math.min(...ends), Math.max(...ends)] : [0, 1];
  const row = 30;
  return plot({
    title: o.title, ...(o.caption === undefined ? {} : { caption: o.caption }),
    desc: o.desc ?? o.items.map((i) => `${i.label}: ${f(i.value)}, between ${f(i.low)} and ${f(i.high)}`).join('; '),
    height: o.items.length * row + 26,
    table: () => table({
      caption: o.title, dense: true, rows: o.items,
      columns: [{ label: 'Value of', cell: (i) => i.label, head: true }, { label: 'Value', cell: (i) => f(i.value), numeric: true }, { label: o.bound ? `Least (${o.bound})` : 'Least', cell: (i) => f(i.low), numeric: true }, { label: 'Most', cell: (i) => f(i.high), numeric: true }],
    }),
    draw(w, height) {
      const t = ticks(a, b, w < 420 ? 3 : 5);
      const left = names(o.items, w);
      const x = scale([t[0] ?? a, t[t.length - 1] ?? b], [left + 6, w - 20]);
      return [
        t.map((v) => [s('line', { x1: x(v), x2: x(v), y1: 4, y2: height - 22, class: 'grid' }), label(x(v), height - 6, axis(v), 'middle')]),
        o.items.map((i, n) => {
          const y = n * row + 18;
          return s('g', null, s('title', null, `${i.label}: ${f(i.value)} (${f(i.low)} to ${f(i.high)})`),
            label(left - 4, y + 4, fit(i.label, left - 4), 'end', 'name'),
            s('line', { x1: x(i.low), x2: x(i.high), y1: y, y2: y, class: 'whisker' }),
            s('line', { x1: x(i.low), x2: x(i.low), y1: y - 5, y2: y + 5, class: 'whisker' }),
            s('line', { x1: x(i.high), x2: x(i.high), y1: y - 5, y2: y + 5, class: 'whisker' }),
            s('circle', { cx: x(i.value), cy: y, r: 4.5, class: 'dot-a' }));
        }),
      ];
    },
  });
}

