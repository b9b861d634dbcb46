// A paid result is opened in another browser: the vault's backup brings the key.
// And an order is not placed twice, nor lost with the line.

import assert from 'node:assert/strict';
import { Line } from './lib/line.mjs';
import { PASSPHRASE, SLOW, makeVault } from './lib/people.mjs';
import { journey } from './lib/stage.mjs';

const CUT = [/ERR_(CONNECTION|INTERNET|EMPTY|NETWORK|SOCKET)/, /Failed to load resource/, /WebSocket/];

journey('resilience: an order and its keys', ['--sample'], async (stage, step) => {
  const { market } = stage;
  const who = await market.account('Travelling Buyer', ['BUYER']);
  await market.deposit(who, '50000');
  const token = await market.token(who);
  const line = await Line.to(market.url);
  const home = await stage.person('home', { url: line.url });
  const id = (await market.gql('{ listings(first: 1) { nodes { id } } }')).listings.nodes[0].id;
  let order = '';
  /** @type {{path: string}} */
  let backup;

  await step('two presses place one order', async () => {
    await home.signIn(who);
    await home.open(`/listings/${id}/query`);
    await home.arrives('Ask a question', SLOW);
    await home.choose('disea');
    await home.click('Try it and get a quote');
    await home.button(/^Order for/).waitFor({ timeout: SLOW });
    await home.click(/^Order for/);
    await makeVault(home);
    const pay = home.button(/^Pay .* into escrow$/);
    await pay.waitFor();
    await pay.evaluate((b) => {
      for (let i = 0; i < 3; i += 1) /** @type {HTMLElement} */ (b).click();
    });
    await home.arrives(/^Order on /, SLOW);
    order = new URL(home.page.url()).pathname;
    const all = (await market.gql('{ orders(first: 10) { nodes { id } } }', {}, token)).orders.nodes;
    assert.equal(all.length, 1, 'one order');
  });

  await step('the vault is open in one tab: the other says so and signs nothing', async () => {
    const other = await home.tab();
    await other.goto(`${home.url}/account`);
    await home.still(other);
    await other.getByRole('button', { name: 'Show the vault' }).click();
    await other.getByText('open in another tab').waitFor({ timeout: SLOW });
    await other.close();
  });

  await step('the line is cut while the order is under way, and comes back by itself', async () => {
    await home.expecting(CUT, async () => {
      line.cut();
      await new Promise((r) => setTimeout(r, 4_000));
      line.mend();
      await home.page.locator('main .page-head .badge').getByText('released').waitFor({ timeout: SLOW });
    });
    // And as the browser itself notices it.
    await home.expecting(CUT, async () => {
      await home.context.setOffline(true);
      await home.page.getByRole('link', { name: 'Datasets', exact: true }).first().click();
      await home.sees(/cannot be reached|could not be shown/);
      await home.context.setOffline(false);
      await home.click('Try again');
      await home.arrives('Datasets');
    });
  });

  await step('the backup is taken, and brings the key to another browser', async () => {
    await home.menu('Account');
    await home.arrives('Account');
    await home.click('Show the vault');
    backup = await home.downloads(() => home.click('Download a backup'));
    await home.look('account-vault');
    const away = await stage.person('away', { url: line.url });
    await away.signIn(who);
    await away.open(order);
    await away.click('Open the result');
    await away.dialog.getByRole('heading', { name: 'Make your vault' }).waitFor();
    await away.dialog.locator('summary').click();
    await away.file('Choose the backup file', backup.path);
    await away.fill('Passphrase of the backup', 'not the passphrase');
    await away.click('Restore');
    await away.dialog.locator('.note.bad').last().waitFor({ timeout: SLOW });
    await away.look('vault-refused');
    await away.fill('Passphrase of the backup', PASSPHRASE);
    await away.click('Restore');
    await away.button('Everything as JSON').waitFor({ timeout: SLOW });
    await away.look('vault-restored');
  });

  await step('a vault without the key says what is missing', async () => {
    const stranger = await stage.person('stranger');
    await stranger.signIn(who);
    await stranger.open(order);
    await stranger.click('Open the result');
    await stranger.fill('Passphrase', PASSPHRASE);
    await stranger.fill('The same again', PASSPHRASE);
    await stranger.click('Make the vault');
    await stranger.sees(/is not in this browser’s vault/, SLOW);
    await stranger.look('vault-other');
  });
  line.close();
});
