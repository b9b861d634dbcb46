// Whoever comes by: what is public, how fast it stands, how much it fetches.

import assert from 'node:assert/strict';
import { journey } from './lib/stage.mjs';

/** The first page without the core (WEB-6). */
const FIRST_PAGE = 100_000;

const PUBLIC = [
  ['/', 'home', 'Insight from data that nobody is allowed to see'],
  ['/promise', 'promise', 'What we promise, and what we do not'],
  ['/verify', 'verify', 'Verify a receipt'],
  ['/api', 'api', 'API'],
  ['/listings', 'catalogue', 'Datasets'],
  ['/signin', 'signin', 'Sign in'],
  ['/register', 'register', 'Make an account'],
  ['/reset-password', 'reset-password', /password/i],
  ['/mails', 'mails', 'Letters'],
  ['/unsubscribe', 'unsubscribe', /./],
  ['/verify-mail', 'verify-mail', 'Confirm your mail address'],
  ['/orders', 'must-sign-in', 'Sign in to see this page'],
];

journey('public: everything that needs no account', [], async (stage, step) => {
  const visitor = await stage.person('visitor');

  for (const [path, name, heading] of PUBLIC) {
    await step(`${path} keeps the laws of all pages`, async () => {
      await visitor.open(String(path));
      await visitor.arrives(heading ?? '');
      await visitor.look(`public-${name}`);
    });
  }

  await step('a path that is none says so, and leads back', async () => {
    await visitor.open('/listings');
    await visitor.page.evaluate(() => {
      history.pushState({}, '', '/listings/nothing-of-the-kind');
      dispatchEvent(new PopStateEvent('popstate'));
    });
    await visitor.expecting([/404/], async () => visitor.arrives('Not found'));
    await visitor.look('public-not-found');
    await visitor.follow('Datasets');
    await visitor.arrives('Datasets');
  });

  await step('the keyboard reaches the content first, and the menus', async () => {
    await visitor.open('/');
    await visitor.page.keyboard.press('Tab');
    assert.equal(await visitor.page.evaluate(() => document.activeElement?.textContent), 'Skip to content');
    await visitor.page.keyboard.press('Enter');
    assert.equal(await visitor.page.evaluate(() => document.activeElement?.id ?? ''), 'main');
  });

  await step('the explorer runs a query and shows the schema', async () => {
    await visitor.open('/api');
    await visitor.click('The marketplace');
    await visitor.click('Run');
    await visitor.sees(/^Status 200/);
    const answer = JSON.parse(await visitor.page.getByLabel('Answer').innerText());
    const asked = (await stage.market.gql('{ marketplace { id key feeBasisPoints srs srsProvenance } }')).marketplace;
    assert.deepEqual(answer.data.marketplace, asked);
    await visitor.click('Use listings');
    await visitor.page.waitForFunction(() => /^query[\s\S]*listings[\s\S]*pageInfo/.test(document.querySelector('textarea')?.value ?? ''));
    await visitor.click('Run');
    await visitor.sees(/^Status 200/);
    await visitor.fill('Query', '{ nothing }');
    await visitor.expecting([/400/], async () => {
      await visitor.click('Run');
      await visitor.page.getByLabel('Answer').getByText(/Unknown field/).waitFor();
    });
    await visitor.look('public-api-answer');
  });

  await step('no page asks another host, or sets a cookie for a visitor', async () => {
    /** @type {string[]} */
    const foreign = [];
    visitor.page.on('request', (r) => {
      if (!r.url().startsWith(visitor.url) && !/^(data|blob):/.test(r.url())) foreign.push(r.url());
    });
    for (const [path] of PUBLIC) await visitor.open(String(path));
    assert.deepEqual(foreign, []);
    assert.deepEqual(await visitor.context.cookies(), []);
  });

  await step('the first page is small, and pages stand soon', async () => {
    const fresh = await stage.person('fresh');
    const all = await fresh.times(PUBLIC.map(([path]) => String(path)));
    const first = all[0];
    assert.ok(first && first.bytes < FIRST_PAGE, `the first page fetched ${first?.bytes} bytes; the limit is ${FIRST_PAGE}`);
  });
});
