// Sessions and second factors: ended while a page is open, in two tabs, over a
// restart of the server; a code from an authenticator app.

import assert from 'node:assert/strict';
import { totp } from './lib/totp.mjs';
import { journey } from './lib/stage.mjs';

journey('sessions: what happens to who is signed in', [], async (stage, step) => {
  const { market } = stage;
  const who = await market.account('Restless Buyer', ['BUYER']);
  const p = await stage.signedIn('buyer', who);

  await step('a session that is ended elsewhere: the page stays, asks, and goes on', async () => {
    await p.open('/balance');
    await p.click('Deposit');
    await p.fill('Amount', '77.25');
    // Ended by the owner, from another machine.
    const token = await market.token(who);
    const sessions = (await market.gql('{ mySessions { id agent current } }', {}, token)).mySessions;
    const browser = sessions.find((/** @type {any} */ s) => /Chrom/.test(s.agent));
    assert.ok(browser, JSON.stringify(sessions));
    await market.gql('mutation($id: String!) { revokeSession(id: $id) }', { id: browser.id }, token);
    await p.expecting([/401/], async () => {
      await p.click('Ask for the deposit');
      await p.dialog.getByRole('heading', { name: 'Sign in to go on' }).waitFor();
    });
    await p.look('session-ended');
    await p.fill('Password', who.password);
    await p.click('Sign in');
    await p.sees('Asked. An admin decides.');
    await p.table('Deposits and withdrawals').getByText('77.25 cr').waitFor();
    const asked = (await market.gql('{ deposits(first: 10) { nodes { amount } } }', {}, await market.token(who))).deposits.nodes;
    assert.deepEqual(asked.map((/** @type {any} */ d) => d.amount), ['7725'], 'asked once');
  });

  await step('a dialog that is closed in place of signing in says why nothing happened', async () => {
    const token = await market.token(who);
    for (const s of (await market.gql('{ mySessions { id agent } }', {}, token)).mySessions) if (/Chrom/.test(s.agent)) await market.gql('mutation($id: String!) { revokeSession(id: $id) }', { id: s.id }, token);
    await p.click('Withdraw');
    await p.fill('Amount', '1');
    await p.expecting([/401/], async () => {
      await p.click('Ask for the withdrawal');
      await p.dialog.getByRole('heading', { name: 'Sign in to go on' }).waitFor();
      await p.dialog.getByRole('button', { name: 'Close' }).click();
      await p.dialog.locator('.note.bad').waitFor();
    });
    assert.equal(await p.page.getByLabel('Amount', { exact: true }).inputValue(), '1', 'what was typed is there');
    await p.page.keyboard.press('Escape');
    await p.expecting([/401/], async () => p.signIn(who));
  });

  await step('two tabs: signing out in one is noticed in the other', async () => {
    await p.open('/balance');
    const other = await p.tab();
    await other.goto(`${p.url}/account`);
    await p.still(other);
    await p.expecting([/401/], async () => {
      await p.page.locator('header summary').click();
      await p.click('Sign out');
      await other.getByRole('heading', { level: 1, name: 'Sign in to see this page' }).waitFor();
    });
    assert.equal(await other.getByText(who.mail).count(), 0, 'nothing of the account is left in the other tab');
    await p.signIn(who);
    await other.getByRole('heading', { level: 1, name: 'Account' }).waitFor();
    await other.close();
  });

  await step('the server restarts under an open page', async () => {
    await p.open('/account');
    await market.kill();
    await p.expecting([/ERR_/, /Failed to load/, /WebSocket/], async () => {
      await p.page.getByRole('link', { name: 'Datasets', exact: true }).first().click();
      await p.page.getByRole('heading', { level: 1 }).first().waitFor();
      await p.sees(/cannot be reached/);
    });
    await p.expecting([/ERR_/, /Failed to load/], async () => market.run());
    await p.click('Try again');
    await p.arrives('Datasets');
    await p.still();
    await p.open('/account');
    await p.arrives('Account');
  });

  let secret = '';
  /** @type {string[]} */
  let codes = [];
  await step('a second factor is set up', async () => {
    await p.click('Set it up');
    await p.fill('Your password', who.password);
    await p.click('Go on');
    await p.dialog.locator('.qr').waitFor();
    await p.dialog.locator('summary').click();
    await p.look('second-factor');
    secret = await p.dialog.locator('.secret').innerText();
    await p.fill('The code that the app shows', '000000');
    await p.expecting([/40[01]/], async () => {
      await p.click('Turn it on');
      await p.dialog.locator('.note.bad, .error:not([hidden])').first().waitFor();
    });
    await p.fill('The code that the app shows', totp(secret));
    await p.click('Turn it on');
    await p.dialog.getByRole('heading', { name: 'Your recovery codes' }).waitFor();
    codes = await p.dialog.locator('.codes li').allInnerTexts();
    assert.equal(new Set(codes).size, 10);
    await p.look('second-factor-codes');
    await p.dialog.getByRole('button', { name: 'Close' }).click();
    await p.sees('Signing in asks for a code of your authenticator app.');
    await p.look('account');
  });

  await step('signing in asks for the code, takes it once, and a recovery code once', async () => {
    const signOut = async () => {
      await p.page.locator('header summary').click();
      await p.click('Sign out');
      await p.arrives('Insight from data that nobody is allowed to see');
    };
    const password = async () => {
      await p.open('/signin');
      await p.fill('Mail address', who.mail);
      await p.fill('Password', who.password);
      await p.click('Sign in');
      await p.page.getByLabel('Code of your second factor').waitFor();
    };
    await p.expecting([/401/], async () => {
      await signOut();
      await password();
      await p.look('signin-code');
      await p.fill('Code of your second factor', '123456');
      await p.click('Sign in');
      await p.sees(/That code is not valid now/);
      // The step of the code that set it up is used: the next one comes within half a minute.
      const next = totp(secret, Date.now() + 30_000);
      while (totp(secret) !== next) await new Promise((r) => setTimeout(r, 500));
      await p.fill('Code of your second factor', next);
      await p.click('Sign in');
      await p.page.locator('header summary').waitFor();
      await signOut();
      await password();
      await p.fill('Code of your second factor', next);
      await p.click('Sign in');
      await p.sees(/That code is not valid now/);
      await p.fill('Code of your second factor', codes[0] ?? '');
      await p.click('Sign in');
      await p.page.locator('header summary').waitFor();
      await signOut();
      await password();
      await p.fill('Code of your second factor', codes[0] ?? '');
      await p.click('Sign in');
      await p.sees(/That code is not valid now/);
      await p.fill('Code of your second factor', codes[1] ?? '');
      await p.click('Sign in');
      await p.page.locator('header summary').waitFor();
    });
  });

  await step('a forgotten password is replaced by the letter’s link; the old one and all sessions end', async () => {
    const other = await stage.person('forgetful');
    await other.open('/reset-password');
    await other.fill('Mail address of your account', who.mail);
    await other.click('Send the letter');
    await other.arrives('Look into your mail');
    const token = await market.letter(who.mail, /\/reset-password#([0-9a-f]+)/);
    await other.open(`/reset-password#${token}`);
    assert.ok(!other.page.url().includes(token), 'the token leaves the address bar');
    await other.fill('New password', 'quite another long password');
    await other.fill('The same again', 'quite another long password');
    await other.look('reset-password-new');
    await other.click('Set the password');
    await other.arrives('Sign in');
    await p.expecting([/401/], async () => {
      await p.page.reload();
      await p.page.getByRole('link', { name: 'Sign in', exact: true }).or(p.page.getByRole('button', { name: 'Sign in', exact: true })).first().waitFor();
    });
    await assert.rejects(market.token(who), /WRONG_CREDENTIALS/);
  });
});
