// Every GraphQL document that a page has is one of the schema that is checked
// in: also those that only a rare press sends.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildSchema, parse, validate } from 'graphql';
import { ROOT } from './lib/market.mjs';

const PAGES = join(ROOT, 'web-static/assets');
/** Strings of JavaScript, of all three kinds; none of the pages' documents has a quote of its own kind inside. */
const STRING = /`((?:[^`\\]|\\.)*)`|'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"/g;
/** What begins as a document does. */
const DOCUMENT = /^\s*(?:(?:query|mutation|subscription)\b[^{]*\{|\{\s*[a-z]\w*\s*[({}a-z])/;

/** Texts of a source that look like documents, with constants of the same file put in. @param {string} source */
function documents(source) {
  source = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const constants = new Map([...source.matchAll(/const ([A-Z]+) = (?:`([^`]*)`|'([^'\n]*)')/g)].map((m) => [m[1], m[2] ?? m[3] ?? '']));
  /** @param {string} text @returns {string} */
  const whole = (text) => text.replace(/\$\{([A-Z]+)\}/g, (_, name) => whole(constants.get(name) ?? ''));
  return [...source.matchAll(STRING)].map((m) => (m[1] ?? m[2] ?? m[3] ?? '').replaceAll('\\n', '\n')).filter((t) => DOCUMENT.test(t)).map(whole);
}

test('every document of the pages is valid', async () => {
  const schema = buildSchema(await readFile(join(ROOT, 'graphql/schema.graphql'), 'utf8'));
  let looked = 0;
  /** @type {string[]} */
  const wrong = [];
  for (const f of await readdir(PAGES, { recursive: true })) {
    if (!f.endsWith('.js') || f.startsWith('core/pkg')) continue;
    for (const text of documents(await readFile(join(PAGES, f), 'utf8'))) {
      // Names that are put in at run time stand for several fields alike.
      const document = text.includes('${name}') ? text.replaceAll('${name}', 'requestDeposit') : text.replaceAll('${field_}', 'deposits').replaceAll('${REF}', 'kind');
      let parsed;
      try {
        parsed = parse(document);
      } catch (e) {
        wrong.push(`${f}: ${document.slice(0, 80)}: ${e instanceof Error ? e.message : e}`);
        continue;
      }
      looked += 1;
      for (const e of validate(schema, parsed)) wrong.push(`${f}: ${e.message}`);
    }
  }
  assert.ok(looked > 60, `${looked} documents were found`);
  assert.deepEqual([...new Set(wrong)], []);
});
