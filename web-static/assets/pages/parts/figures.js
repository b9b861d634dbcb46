// @ts-check
/** Figures behind the pages: pure, so that they are tested without a browser. */

/**
 * The first audit record that does not hold to the one before it; null when all do.
 * @param {readonly {sequence: string, previous: string, digest: string}[]} entries oldest first
 * @returns {string | null} its number
 */
export function broken(entries) {
  for (const [i, e] of entries.entries()) {
    const before = entries[i - 1];
    if (before && (e.previous !== before.digest || BigInt(e.sequence) !== BigInt(before.sequence) + 1n)) return e.sequence;
  }
  return null;
}

/** @typedef {{date: string, orders: string, values: string, earned: string}} Day */

const DAY = 86_400_000;

/**
 * A row for each day from the first to the last: a day without an order is a day
 * too, and a line says so. Amounts become credits, for drawing alone.
 * @param {readonly Day[]} days
 */
export function filled(days) {
  const known = new Map(days.map((d) => [Date.parse(d.date), d]));
  const all = [...known.keys()].filter((t) => !Number.isNaN(t));
  if (all.length === 0) return [];
  const out = [];
  for (let at = Math.min(...all); at <= Math.max(...all); at += DAY) {
    const d = known.get(at);
    out.push({ at, orders: Number(d?.orders ?? 0), values: Number(d?.values ?? 0), earned: Number(d?.earned ?? 0) / 100 });
  }
  return out;
}

/** How many choices of k among n there are. @param {number} n @param {number} k */
export function choose(n, k) {
  let c = 1;
  for (let i = 0; i < k; i += 1) c = (c * (n - i)) / (i + 1);
  return Math.round(c);
}

/**
 * The quorums that have refused dealings and no accepted one: nothing can be opened
 * by them before they are dealt to anew.
 * @param {{dealings: {state: string, quorum: number[]}[]}} tickets
 * @returns {number[][]}
 */
export function frozen(tickets) {
  const live = new Set(tickets.dealings.filter((d) => d.state === 'accepted').map((d) => d.quorum.join()));
  const refused = new Set(tickets.dealings.filter((d) => d.state === 'refused').map((d) => d.quorum.join()));
  return [...refused].filter((q) => !live.has(q)).map((q) => q.split(',').map(Number));
}

/**
 * @typedef {{label: string, weights: {visibility: 'public' | 'private'}}} WeightVector
 * @typedef {{vectors: WeightVector[], outputs: {over: {matrix: 'traced' | 'chunk', segment: number}, vector: number}[]}} Program
 */

/** Labels said before the rest is counted. */
const SAID = 3;

/**
 * The public shape of a query in words.
 * @param {Program} p
 */
export function shapeWords(p) {
  const labels = p.vectors.slice(0, SAID).map((v) => v.label);
  const more = p.vectors.length - labels.length;
  const hidden = p.vectors.filter((v) => v.weights.visibility === 'private').length;
  const segments = new Set(p.outputs.map((o) => o.over.segment)).size;
  const rows = p.outputs.some((o) => o.over.matrix === 'chunk');
  return {
    what: `${labels.join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
    over: `${rows ? 'each row' : 'the whole'} of ${segments} ${segments === 1 ? 'segment' : 'segments'}`,
    weights: hidden === 0 ? 'weights public' : hidden === p.vectors.length ? 'weights hidden' : `weights of ${hidden} of ${p.vectors.length} hidden`,
  };
}
