// A partner platform: an API key that is shown once and used by a program, a
// registered document, a webhook with its deliveries.

import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { journey } from './lib/stage.mjs';

/** Takes webhooks, and says no while `refuse` is set. */
async function receiver() {
  /** @type {{headers: import('node:http').IncomingHttpHeaders, body: string}[]} */
  const got = [];
  const state = { refuse: false };
  const server = createServer((q, r) => {
    let body = '';
    q.on('data', (b) => (body += b));
    q.on('end', () => {
      got.push({ headers: q.headers, body });
      r.writeHead(state.refuse ? 503 : 204).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = server.address();
  assert.ok(at && typeof at === 'object');
  return { got, state, url: `http://127.0.0.1:${at.port}/hook`, close: () => server.close() };
}

/** Whether a delivery is signed as the page says. @param {string} secret @param {{headers: any, body: string}} d */
function genuine(secret, d) {
  const parts = String(d.headers['veilbourse-signature']).split(',').map((p) => p.split('='));
  const t = parts.find((p) => p[0] === 't')?.[1] ?? '';
  const want = createHmac('sha256', secret).update(`${t}.${d.body}`).digest();
  return parts.some(([k, v]) => k === 'v1' && v?.length === 64 && timingSafeEqual(Buffer.from(v, 'hex'), want)) && Math.abs(Date.now() / 1000 - Number(t)) < 300;
}

journey('partner: keys and webhooks', [], async (stage, step) => {
  const { market } = stage;
  const who = await market.account('Platform', ['PARTNER']);
  const partner = await stage.signedIn('partner', who);
  let secret = '';

  await step('a key is made and shown once', async () => {
    await partner.follow('Partner');
    await partner.arrives('API keys');
    await partner.look('partner-keys-empty');
    await partner.click('Make a key');
    await partner.fill('Name', 'Nightly');
    await partner.choose('quote');
    await partner.look('partner-make-key');
    await partner.click('Make the key');
    secret = await partner.dialog.locator('.secret').innerText();
    assert.match(secret, /^vbk_[A-Za-z0-9_-]{43}$/);
    await partner.look('partner-key-shown');
    await partner.dialog.getByRole('button', { name: 'Close' }).click();
    await partner.page.getByRole('rowheader', { name: /Nightly/ }).waitFor();
    assert.ok(!(await partner.page.content()).includes(secret), 'it is shown once');
    await partner.page.reload();
    await partner.still();
    assert.ok(!(await partner.page.content()).includes(secret), 'and never again');
  });

  await step('a program uses it, within its scopes', async () => {
    const found = await market.gql('{ listings(first: 1) { nodes { id } } }', {}, secret);
    assert.ok(Array.isArray(found.listings.nodes));
    await assert.rejects(market.gql('{ myBalance { posted } }', {}, secret), /SCOPE|FORBIDDEN/);
    await assert.rejects(market.gql('{ apiKeys { id } }', {}, secret), /KEY_NOT_ALLOWED/);
    await partner.page.reload();
    await partner.still();
    await partner.page.getByRole('row').filter({ hasText: 'Nightly' }).getByText(/^\d+ of 100/).waitFor();
    await partner.look('partner-keys');
  });

  await step('a document is registered in the explorer, and run by its digest', async () => {
    await partner.open('/api');
    await partner.click('Register the document');
    await partner.sees('Registered. Run it by its digest.');
    const text = await partner.page.getByLabel('Query', { exact: true }).inputValue();
    const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))].map((b) => b.toString(16).padStart(2, '0')).join('');
    const r = await fetch(`${market.url}/graphql`, {
      method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body: JSON.stringify({ extensions: { persistedQuery: { version: 1, sha256Hash: digest } } }),
    });
    const answer = await r.json();
    assert.ok(answer.data?.listings, JSON.stringify(answer));
    await partner.open('/partner/keys');
    await partner.table('Registered documents').getByRole('row').nth(1).waitFor();
  });

  await step('a key that is revoked is refused at once', async () => {
    await partner.click('Revoke Nightly');
    await partner.click('Revoke');
    await partner.sees('The key is revoked.');
    await assert.rejects(market.gql('{ listings(first: 1) { nodes { id } } }', {}, secret), /TOKEN_INVALID|UNAUTHENTICATED|API_KEY|REVOKED/);
    await partner.look('partner-key-revoked');
  });

  const hook = await receiver();
  await step('a webhook is made, tested, and its signature holds', async () => {
    await partner.follow('Webhooks');
    await partner.arrives('Webhooks');
    await partner.look('partner-webhooks-empty');
    await partner.click('Make a webhook');
    await partner.fill('URL', hook.url);
    await partner.choose('cash decided');
    await partner.look('partner-make-webhook');
    await partner.click('Make the webhook');
    const key = await partner.dialog.locator('.secret').innerText();
    assert.match(key, /^whsec_/);
    await partner.dialog.getByRole('button', { name: 'Close' }).click();
    await partner.click('Send a test');
    await partner.dialog.waitFor();
    assert.equal(hook.got.length, 1);
    assert.equal(hook.got[0]?.headers['veilbourse-event']?.toString().toLowerCase(), 'ping');
    assert.ok(genuine(key, hook.got[0] ?? { headers: {}, body: '' }), 'signed as the page says');
    assert.ok(!genuine(`${key}x`, hook.got[0] ?? { headers: {}, body: '' }), 'and by this secret alone');
    await partner.look('partner-webhook-tested');
    await partner.dialog.getByRole('button', { name: 'Close' }).click();
  });

  await step('what happens is delivered; what was not taken is sent again', async () => {
    hook.state.refuse = true;
    await market.deposit(who, '5000');
    for (let i = 0; i < 100 && hook.got.length < 2; i += 1) await new Promise((r) => setTimeout(r, 200));
    const first = hook.got[1];
    assert.equal(first?.headers['veilbourse-event']?.toString().toLowerCase(), 'cash_decided');
    await partner.click('Reload');
    await partner.page.getByRole('row').filter({ hasText: 'cash decided' }).getByText(/503/).waitFor();
    await partner.look('partner-deliveries');
    hook.state.refuse = false;
    await partner.click(/^Send again, delivery 2$/);
    await partner.sees('Taken.');
    const again = hook.got.at(-1);
    assert.equal(again?.headers['veilbourse-delivery'], first?.headers['veilbourse-delivery'], 'the same delivery: a receiver drops what it has seen');
    assert.equal(again?.body, first?.body);
  });
  hook.close();
});
