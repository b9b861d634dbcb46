// The guide's table of journeys and the tests name the same ones: no row that
// nobody walks, no walk that the guide does not count.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { table } from './lib/clicks.mjs';

test('every journey of the guide is walked by a test', async () => {
  const here = new URL('.', import.meta.url);
  const walked = new Set();
  for (const f of (await readdir(here)).filter((x) => x.endsWith('.test.mjs'))) {
    for (const m of (await readFile(new URL(f, here), 'utf8')).matchAll(/\.(?:journey|counted)\('([^']+)'/g)) walked.add(m[1]);
  }
  const rows = table();
  assert.ok(rows.length >= 15, `${rows.length} rows`);
  assert.deepEqual(rows.map((r) => r.name).sort(), [...walked].sort());
  for (const r of rows) assert.equal(r.which.length, r.clicks, `${r.name}: ${r.clicks} clicks, ${r.which.length} named`);
});
