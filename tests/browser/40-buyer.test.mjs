// A buyer's day: money, a dataset, three questions, their answers against the
// table itself, their receipts; and a receipt in other hands.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './lib/market.mjs';
import { PASSWORD, RANDHIE, SLOW, makeVault, mean, parseCsv, register, unlockVault } from './lib/people.mjs';
import { journey } from './lib/stage.mjs';

const TITLE = 'RAND Health Insurance Experiment';
const ADA = { name: 'Ada Analytics', mail: 'ada@journeys.example', password: PASSWORD };
const MODEL = join(ROOT, 'tests/data/models/randhie_ols.json');

/** @typedef {{of: string, segment: string, value: number, within: number}} Shown */

/**
 * The values of a result: as they are in the downloaded file, and what the page
 * says that they may be off by.
 * @param {import('./lib/person.mjs').Person} p
 * @param {any} json
 * @returns {Promise<Shown[]>}
 */
async function shown(p, json) {
  const rows = await p.table('Values').locator('tbody tr').all();
  const out = [];
  for (const r of rows) {
    const [of, segment, , mean] = await r.locator('th, td').allInnerTexts();
    const found = json.outputs.find((/** @type {any} */ o) => o.segment === segment && o.label.endsWith(of));
    assert.ok(found, `${of} of ${segment} is in the file`);
    const [value, within] = (mean ?? '').replaceAll('−', '-').split(' ± ').map(Number);
    assert.ok(Math.abs((value ?? NaN) - found.values[0]) <= (within ?? 0), 'page and file say the same');
    out.push({ of: of ?? '', segment: segment ?? '', value: found.values[0], within: within ?? NaN });
  }
  return out;
}

journey('buyer: from a deposit to receipts', ['--sample'], async (stage, step) => {
  const { market } = stage;
  const table = parseCsv(await readFile(RANDHIE, 'utf8'));
  /** @param {string} label of a segment, as "idp=1" @param {(r: Record<string, string>) => number} of */
  const truth = (label, of) => mean(table.filter((r) => Number(r.idp) === Number(/(\d+(\.\d+)?)\s*$/.exec(label)?.[1])).map(of));
  const buyer = await stage.person('buyer');
  /** @type {string[]} */
  const orders = [];
  /** @type {{path: string, text: string}} */
  let receipt;

  /** From the quote to the released order; live. @param {() => Promise<void>} [first] */
  const pay = async (first) => {
    await buyer.click(/^Order for/);
    await first?.();
    await buyer.button(/^Pay .* into escrow$/).waitFor();
    await buyer.aside(() => buyer.look(`buyer-confirm-${orders.length}`));
    await buyer.click(/^Pay .* into escrow$/);
    await buyer.arrives(/^Order on /, SLOW);
    orders.push(new URL(buyer.page.url()).pathname);
  };
  /** What the page shows of the order until it is released, without a reload. */
  const watch = async () => {
    const seen = new Set();
    let loads = 0;
    const count = () => (loads += 1);
    buyer.page.on('load', count);
    const over = Date.now() + SLOW;
    for (;;) {
      const now = await buyer.page.locator('main .page-head .badge').innerText();
      seen.add(now);
      if (now === 'released') break;
      assert.notEqual(now, 'refunded', await buyer.page.locator('main').innerText());
      assert.ok(Date.now() < over, `still ${now}: ${[...seen]}`);
      await new Promise((r) => setTimeout(r, 100));
    }
    buyer.page.off('load', count);
    assert.equal(loads, 0, 'the page followed by itself');
    return seen;
  };
  /** Opens the released order and takes what it offers. @param {string} name */
  const open = async (name) => {
    await buyer.click('Open the result');
    await buyer.button('Everything as JSON').waitFor({ timeout: SLOW });
    await buyer.aside(() => buyer.look(name));
    const json = JSON.parse((await buyer.downloads(() => buyer.aside(() => buyer.click('Everything as JSON')))).text);
    const csv = (await buyer.downloads(() => buyer.aside(() => buyer.click('Values as CSV')))).text;
    assert.ok(csv.split('\n').length > 1, 'a CSV with values');
    return { json, csv };
  };

  await step('registers, confirms, deposits', async () => {
    await buyer.journey('newcomer: from nothing to a buyer with a confirmed address (mails in the local folder)', async () => {
      await register(buyer, ADA);
    });
    await market.deposit(ADA, '100000');
    await buyer.open('/balance');
    await buyer.sees('1 000.00 cr');
  });

  await step('finds the dataset by search and by its columns, and reads it', async () => {
    await buyer.open('/listings');
    await buyer.fill('Search', 'insurance');
    await buyer.page.getByRole('link', { name: TITLE }).waitFor();
    await buyer.fill('Search', 'nothing like it');
    await buyer.sees('Nothing found');
    await buyer.fill('Search', '');
    await buyer.fill('Has the columns', 'mdvis, disea');
    await buyer.page.getByRole('link', { name: TITLE }).waitFor();
    await buyer.fill('Has the columns', 'mdvis, salary');
    await buyer.sees('Nothing fits');
    await buyer.look('catalogue-nothing');
    await buyer.click('Clear the filters');
    await buyer.page.getByRole('link', { name: TITLE }).waitFor();
    await buyer.fill('At least so many rows', '20190');
    await buyer.select('Results are opened by', { label: 'A committee' });
    await buyer.page.getByRole('link', { name: TITLE }).waitFor();
    await buyer.select('Results are opened by', { label: 'The custodian' });
    await buyer.sees('Nothing fits');
    await buyer.select('Results are opened by', { label: 'Anybody' });
    await buyer.sees('1 dataset');
    await buyer.look('catalogue');
    await buyer.follow(TITLE);
    await buyer.arrives(TITLE);
    for (const tab of await buyer.page.getByRole('tab').allInnerTexts()) {
      await buyer.turn(tab);
      await buyer.still();
      await buyer.look(`listing-${tab.toLowerCase().replace(/[^a-z]+/g, '-')}`);
      assert.equal(await buyer.page.locator('main .note.bad').count(), 0, `${tab} shows what it should`);
    }
  });

  await step('statistics: tried, quoted, ordered, followed live, opened, equal to the table', async () => {
    await buyer.journey('buyer: a mean, from the catalogue to the order, first time', async () => {
      await buyer.follow('Datasets');
      await buyer.arrives('Datasets');
      await buyer.follow(TITLE);
      await buyer.arrives(TITLE);
      await buyer.follow('Ask a question');
      await buyer.arrives('Ask a question', SLOW);
      await buyer.choose('mdvis');
      await buyer.click('Try it and get a quote');
      await buyer.button(/^Order for/).waitFor({ timeout: SLOW });
      await buyer.sees('Nothing of the data is in these values.', SLOW);
      await buyer.aside(() => buyer.look('compose-quoted'));
      await pay(() => makeVault(buyer));
    });
    await buyer.look('order-under-way');
    const seen = await watch();
    assert.ok(seen.size > 1, `states were seen as they came: ${[...seen]}`);

    /** @type {{json: any, csv: string}} */
    let opened = { json: null, csv: '' };
    await buyer.counted('buyer: the result and its receipt', async () => {
      opened = await open('order-statistics');
      receipt = await buyer.downloads(() => buyer.click('Download the receipt file'));
    });
    const { json, csv } = opened;
    const values = await shown(buyer, json);
    assert.equal(values.length, 2, 'one of each segment');
    for (const o of values) {
      const plain = truth(o.segment, (r) => Number(r.mdvis));
      assert.ok(Math.abs(o.value - plain) < 1e-9, `${o.segment}: ${o.value} is not ${plain}: visits are whole numbers, held exactly`);
      const spread = mean(table.filter((r) => o.segment.endsWith(String(Number(r.idp)))).map((r) => (Number(r.mdvis) - plain) ** 2));
      const variance = json.variances.find((/** @type {any} */ v) => v.segment === o.segment && v.column === 'mdvis').value;
      assert.ok(Math.abs(variance - spread) < 1e-6 * spread, `${o.segment}: the variance ${variance} is not ${spread}`);
      assert.ok(csv.includes(o.segment), 'the CSV names the segment');
    }
    assert.ok((await buyer.page.locator('main .plots figure').count()) >= 1, 'a plot');
    const tables = await buyer.page.locator('main').getByRole('table').allInnerTexts();
    assert.ok(tables.some((t) => t.includes('idp')), 'a table');
  });

  await step('the receipt is verified where the order is, and by anybody from its file', async () => {
    await buyer.click('Verify it here');
    await buyer.sees('This receipt holds.', SLOW);
    await buyer.look('order-receipt');
    const judge = await stage.person('judge');
    await judge.journey('anybody: verify a receipt', async () => {
      await judge.follow('Verify');
      await judge.arrives('Verify a receipt');
      await judge.file('Choose a receipt', receipt.path);
      await judge.sees('This receipt holds.', SLOW);
    });
    await judge.sees('No marketplace was expected');
    await judge.look('verify-holds');
    const { id } = (await market.gql('{ marketplace { id } }')).marketplace;
    await judge.fill(/^Marketplace that you expect/, id);
    await judge.file('Choose a receipt', receipt.path);
    await judge.page.getByText('No marketplace was expected').waitFor({ state: 'detached', timeout: SLOW });
    await judge.sees('This receipt holds.', SLOW);
    await judge.fill(/^Marketplace that you expect/, '00'.repeat(32));
    await judge.file('Choose a receipt', receipt.path);
    await judge.sees('This receipt does not hold.', SLOW);
    await judge.fill(/^Marketplace that you expect/, '');
    // One digit of a signature, of the price, of a proof: each is found out.
    const text = receipt.text;
    const price = /"total":"(\d+)"/.exec(text);
    assert.ok(price, 'the receipt names its price');
    const at = Math.floor(text.length * 0.8);
    const digit = at + text.slice(at).search(/[0-9a-f]{20}/) + 10;
    for (const [what, forged] of [
      ['the price', text.replaceAll(price[0], `"total":"${Number(price[1]) - 1}"`)],
      ['a digit far inside', text.slice(0, digit) + (text[digit] === '0' ? '1' : '0') + text.slice(digit + 1)],
      ['half of it', text.slice(0, text.length / 2)],
    ]) {
      const file = join(market.dir, 'forged.json');
      await writeFile(file, forged ?? '');
      await judge.page.reload();
      await judge.still();
      await judge.file('Choose a receipt', file);
      await judge.page.getByText('This receipt does not hold.').or(judge.page.locator('main .note.bad')).first().waitFor({ timeout: SLOW });
      assert.equal(await judge.page.getByText('This receipt holds.').count(), 0, `${what} was changed`);
    }
    await judge.look('verify-tampered');
  });

  await step('a private model from a file: its mean prediction equals the plain one within the bound', async () => {
    await buyer.open(`${await listing(market)}/query`);
    await buyer.arrives('Ask a question', SLOW);
    await buyer.turn('A model');
    await buyer.file('Choose model.json', MODEL);
    assert.ok(await buyer.page.getByLabel('Keep the weights private').isChecked(), 'private unless said otherwise');
    await buyer.click('Try it and get a quote');
    await buyer.button(/^Order for/).waitFor({ timeout: SLOW });
    await buyer.look('compose-model');
    const model = JSON.parse(await readFile(MODEL, 'utf8'));
    /** No weight leaves the browser but sealed to the pod. @type {string[]} */
    const sent = [];
    buyer.page.on('request', (r) => sent.push(r.postData() ?? ''));
    await pay(() => reopen(buyer));
    for (const w of model.weights) assert.ok(!sent.some((s) => s.includes(String(w))), `the weight ${w} was sent`);
    await watch();
    const { json } = await open('order-private-model');
    const values = await shown(buyer, json);
    assert.equal(values.length, 2, 'one of each segment');
    for (const o of values) {
      const plain = truth(o.segment, (r) => model.columns.reduce((/** @type {number} */ s, /** @type {string} */ c, /** @type {number} */ i) => s + model.weights[i] * Number(r[c]), model.intercept));
      console.log(`private model, ${o.segment}: ${o.value}, plain ${plain}, stated bound ±${o.within}`);
      assert.ok(o.within < 1, `a bound that says something: ${o.within}`);
      assert.ok(Math.abs(o.value - plain) <= o.within, `${o.segment}: ${o.value} is not ${plain} within ${o.within}`);
    }
    await buyer.click('Verify it here');
    await buyer.sees('This receipt holds.', SLOW);
    await buyer.look('order-private-receipt');
  });

  await step('a regression: bought as sums, solved here', async () => {
    await buyer.open(`${await listing(market)}/query`);
    await buyer.arrives('Ask a question', SLOW);
    await buyer.turn('A regression');
    await buyer.select('What is predicted', 'mdvis');
    for (const c of ['disea', 'physlm']) await buyer.choose(c);
    await buyer.click('Try it and get a quote');
    await buyer.button(/^Order for/).waitFor({ timeout: SLOW });
    await buyer.look('compose-regression');
    await pay(() => reopen(buyer));
    await watch();
    const { json } = await open('order-regression');
    const wanted = leastSquares(table.map((r) => [1, Number(r.disea), Number(r.physlm)]), table.map((r) => Number(r.mdvis)));
    const cells = await buyer.table('Coefficients').getByRole('row').allInnerTexts();
    for (const [i, name] of ['(intercept)', 'disea', 'physlm'].entries()) {
      const shown = Number((cells.find((c) => c.includes(name)) ?? '').split(/\t/)[1]?.replace('−', '-'));
      assert.ok(Math.abs(shown - (wanted[i] ?? NaN)) < 0.02, `${name}: ${shown} is not ${wanted[i]}`);
    }
    assert.ok(json, 'and as a file');
    const model = await buyer.downloads(() => buyer.click('Model as JSON'));
    assert.deepEqual(JSON.parse(model.text).columns.sort(), ['disea', 'physlm']);
  });

  await step('the history and the balance add up', async () => {
    await buyer.open('/orders');
    assert.equal(await buyer.page.getByRole('link', { name: TITLE }).count(), 3);
    await buyer.look('orders');
    await buyer.select('State', 'refunded');
    await buyer.sees('No order in this state');
    await buyer.open('/balance');
    await buyer.look('balance-spent');
    const token = await market.token(ADA);
    const all = (await market.gql('{ orders(first: 10) { nodes { state price { total } } } myBalance { posted available } }', {}, token));
    const spent = all.orders.nodes.reduce((/** @type {bigint} */ s, /** @type {any} */ o) => s + BigInt(o.price.total), 0n);
    assert.equal(BigInt(all.myBalance.available), 100_000n - spent);
    await buyer.times(['/', '/listings', await listing(market), '/orders', orders[0] ?? '', '/balance', '/account']);
    assert.ok(all.orders.nodes.every((/** @type {any} */ o) => o.state === 'released'));
  });
});

/** The sample's page. @param {import('./lib/market.mjs').Market} market */
async function listing(market) {
  return `/listings/${(await market.gql('{ listings(first: 1) { nodes { id } } }')).listings.nodes[0].id}`;
}

/** In a page that was loaded anew the vault is locked. @param {import('./lib/person.mjs').Person} p */
async function reopen(p) {
  await p.page.getByLabel('Passphrase of your vault').waitFor();
  await unlockVault(p);
}

/**
 * Ordinary least squares by the normal equations, in doubles.
 * @param {number[][]} x
 * @param {number[]} y
 */
function leastSquares(x, y) {
  const n = x[0]?.length ?? 0;
  const a = Array.from({ length: n }, (_, i) => [...Array.from({ length: n }, (_u, j) => x.reduce((s, r) => s + (r[i] ?? 0) * (r[j] ?? 0), 0)), x.reduce((s, r, k) => s + (r[i] ?? 0) * (y[k] ?? 0), 0)]);
  for (let i = 0; i < n; i += 1) {
    for (let r = 0; r < n; r += 1) {
      if (r === i) continue;
      const f = (a[r]?.[i] ?? 0) / (a[i]?.[i] ?? 1);
      for (let c = i; c <= n; c += 1) /** @type {number[]} */ (a[r])[c] = (a[r]?.[c] ?? 0) - f * (a[i]?.[c] ?? 0);
    }
  }
  return a.map((r, i) => (r[n] ?? 0) / (r[i] ?? 1));
}
