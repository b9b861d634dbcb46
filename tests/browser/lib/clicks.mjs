// The table of journeys in docs/guides/web.md: what each costs in clicks.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './market.mjs';

const GUIDE = join(ROOT, 'docs/guides/web.md');
const ROW = /^\| ([^|]+?) \| (\d+) \| ([^|]+?) \|$/;

/** @typedef {{name: string, clicks: number, which: string[]}} Row */

/** @returns {Row[]} */
export function table(text = readFileSync(GUIDE, 'utf8')) {
  const part = text.split('\n| journey | clicks | which |')[1];
  if (!part) throw new Error(`${GUIDE} has no table of journeys`);
  const rows = [];
  for (const line of part.split('\n').slice(2)) {
    const m = ROW.exec(line);
    if (!m) break;
    rows.push({ name: m[1] ?? '', clicks: Number(m[2]), which: (m[3] ?? '').split(';').map((x) => x.trim()) });
  }
  return rows;
}

/** @param {string} name @returns {Row} */
export function row(name) {
  const found = table().find((r) => r.name === name);
  if (!found) throw new Error(`${GUIDE} has no journey “${name}”`);
  return found;
}
