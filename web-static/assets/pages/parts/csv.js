// @ts-check
/** CSV as RFC 4180 writes it, and counts over its columns: pure. */

/**
 * Rows of a CSV text, the header among them.
 * @param {string} text
 * @returns {string[][]}
 */
export function rows(text) {
  /** @type {string[][]} */
  const out = [];
  /** @type {string[]} */
  let row = [];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (quoted) {
      if (c === '"' && text[i + 1] === '"') {
        cell += '"';
        i += 1;
      } else if (c === '"') quoted = false;
      else cell += c;
    } else if (c === '"' && cell === '') quoted = true;
    else if (c === ',') {
      row.push(cell);
      cell = '';
    } else if (c === '\n' || c === '\r') {
      if (c === '\r' && text[i + 1] === '\n') i += 1;
      row.push(cell);
      out.push(row);
      row = [];
      cell = '';
    } else cell += c;
  }
  if (cell !== '' || row.length > 0) {
    row.push(cell);
    out.push(row);
  }
  return out;
}

/**
 * @typedef {{name: string, kind: 'numeric', edges: number[], counts: number[], rows: number}
 *   | {name: string, kind: 'text', counts: {label: string, value: number}[], rows: number}} Marginal
 */

/** Bins of a histogram. */
const BINS = 16;

/**
 * Each column's values counted: numbers in bins, texts by themselves, numbers of
 * few values too.
 * @param {string[][]} table with its header
 * @returns {Marginal[]}
 */
export function marginals(table) {
  const [header, ...body] = table;
  if (!header) return [];
  return header.map((name, at) => {
    const cells = body.map((r) => r[at] ?? '');
    const values = cells.map(Number);
    const numeric = cells.length > 0 && cells.every((c, i) => c.trim() !== '' && Number.isFinite(values[i]));
    const distinct = new Set(cells);
    if (!numeric || distinct.size <= 4) {
      /** @type {Map<string, number>} */
      const n = new Map();
      for (const c of cells) n.set(c, (n.get(c) ?? 0) + 1);
      const counts = [...n].map(([label, value]) => ({ label, value }));
      counts.sort((a, b) => (numeric ? Number(a.label) - Number(b.label) : b.value - a.value));
      return { name, kind: 'text', counts, rows: cells.length };
    }
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) {
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
    const width = (high - low) / BINS || 1;
    const counts = Array.from({ length: BINS }, () => 0);
    for (const v of values) {
      const bin = Math.min(BINS - 1, Math.max(0, Math.floor((v - low) / width)));
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    return { name, kind: 'numeric', edges: Array.from({ length: BINS + 1 }, (_, i) => low + i * width), counts, rows: cells.length };
  });
}
