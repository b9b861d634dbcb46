// What goes wrong on a real day: the line is cut in mid-upload, the page is
// loaded again, the server restarts, the session ends, there are two tabs.

import assert from 'node:assert/strict';
import { Line } from './lib/line.mjs';
import { RANDHIE, SLOW, makeVault, unlockVault } from './lib/people.mjs';
import { journey } from './lib/stage.mjs';

const TITLE = 'Cut and mended';
const OBJECTS = 'query($id: String!) { listing(id: $id) { state objects { name length offset } } }';
/** What a browser says of a line that is cut. */
const CUT = [/ERR_(CONNECTION|INTERNET|EMPTY|NETWORK|SOCKET)/, /Failed to load resource/, /WebSocket connection/];

/** @param {{offset: string | number}[]} objects */
const stored = (objects) => objects.reduce((s, o) => s + Number(o.offset), 0);

journey('resilience: uploads', [], async (stage, step) => {
  const { market } = stage;
  const who = await market.account('Rural Clinic', ['CUSTODIAN']);
  const line = await Line.to(market.url);
  const clinic = await stage.person('clinic', { url: line.url });
  const token = await market.token(who);
  let listing = '';
  /** @returns {Promise<{state: string, objects: {name: string, length: string, offset: string}[]}>} */
  const atServer = async () => (await market.gql(OBJECTS, { id: listing }, token)).listing;
  /** Until so much of all is stored. @param {number} share */
  const until = async (share) => {
    for (let i = 0; i < 1200; i += 1) {
      if (!listing) listing = (await market.gql('{ listings(filter: { mine: true }, first: 1) { nodes { id } } }', {}, token)).listings.nodes[0]?.id ?? '';
      if (listing) {
        const { objects } = await atServer();
        const all = objects.reduce((s, o) => s + Number(o.length), 0);
        if (all > 0 && stored(objects) >= share * all) return { all, done: stored(objects), objects };
      }
      await new Promise((r) => setTimeout(r, 100));
    }
    throw new Error(`${share} of the upload was never there`);
  };
  /** Pieces that were sent on the line from here on. @param {number} from */
  const pieces = (from) => line.requests.slice(from).filter((r) => r.method === 'PATCH' && r.path.includes('/objects/'))
    .map((r) => ({ name: r.path.split('/objects/')[1] ?? '', offset: Number(r.headers['upload-offset']) }));
  /**
   * What the server had is not sent again: no piece begins before it.
   * @param {number} from
   * @param {{name: string, offset: string}[]} had
   */
  const nothingTwice = (from, had) => {
    const sent = pieces(from);
    assert.ok(sent.length > 0, 'pieces were seen on the line');
    for (const p of sent) {
      const o = had.find((x) => x.name === p.name);
      assert.ok(o && p.offset >= Number(o.offset), `${p.name} was sent from ${p.offset}; the server had it up to ${o?.offset}`);
    }
  };
  let size = 0;
  let mark = 0;
  /** @type {{name: string, length: string, offset: string}[]} */
  let had = [];

  await step('encrypts, and begins to hand in over a slow line', async () => {
    await clinic.signIn(who);
    await clinic.open('/custodian/new');
    await clinic.file('Choose a table', RANDHIE);
    await clinic.button(/^Encrypt/).waitFor({ timeout: SLOW });
    await clinic.click(/^Encrypt/);
    await makeVault(clinic);
    await clinic.button('Review and submit').waitFor({ timeout: SLOW });
    await clinic.fill('Title', TITLE);
    await clinic.fill('Description', 'A clinic at the end of a thin wire.');
    await clinic.click('Review and submit');
    await clinic.downloads(() => clinic.click('Download the backup'));
    line.slow(250_000);
    await clinic.click('Submit for review');
    const at = await until(0.2);
    size = at.all;
    assert.ok(at.done < at.all, 'still under way');
    assert.ok(pieces(0).length > 0, 'the line sees the pieces');
  });

  await step('the page is loaded again in the middle: it goes on where the server is', async () => {
    const before = stored((await atServer()).objects);
    // Work is under way: the browser asks whether to leave it.
    const asked = clinic.page.waitForEvent('dialog').then(async (d) => {
      await d.accept();
      return d.type();
    });
    await Promise.all([clinic.page.reload(), asked]);
    assert.equal(await asked, 'beforeunload');
    await clinic.arrives('List a dataset');
    mark = line.requests.length;
    had = (await atServer()).objects;
    assert.ok(before > 0 && stored(had) >= before && stored(had) < size, 'the server keeps what it has, and it is not all');
    await clinic.click('Unlock the vault and go on');
    await unlockVault(clinic);
    await clinic.button('Submit for review').waitFor({ timeout: SLOW });
    await clinic.look('custodian-resumed');
    await clinic.downloads(() => clinic.click('Download the backup'));
    await clinic.click('Submit for review');
    await until(Math.min(0.95, stored(had) / size + 0.2));
    nothingTwice(mark, had);
  });

  await step('the line is cut in the middle, and mended', async () => {
    await clinic.expecting([...CUT, /Code NETWORK/], async () => {
      line.cut();
      await clinic.button('Try again').waitFor({ timeout: SLOW });
      await clinic.look('custodian-line-cut');
    });
    mark = line.requests.length;
    had = (await atServer()).objects;
    assert.ok(stored(had) < size, 'it was cut in the middle');
    line.mend();
    line.slow(0);
    await clinic.click('Try again');
    await clinic.arrives(TITLE, SLOW);
    nothingTwice(mark, had);
    const { state, objects } = await atServer();
    assert.equal(state, 'submitted');
    assert.ok(objects.every((o) => Number(o.offset) === Number(o.length)), 'all of it is there');
  });
  line.close();
});
