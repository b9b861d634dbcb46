// Admins decide, auditors look: the review queue with reasons and an appeal,
// accounts, money, the books, the log, alarms; and no act where none is allowed.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SLOW, makeVault, smallTable } from './lib/people.mjs';
import { journey } from './lib/stage.mjs';

const TITLE = 'Visits of a small clinic';
const STAFF = [
  ['/admin', 'Overview'], ['/admin/review', 'Review'], ['/admin/accounts', 'Accounts'], ['/admin/cash', 'Cash'], ['/admin/ledger', 'Ledger'],
  ['/admin/machines', 'Machines'], ['/admin/audit', 'Audit log'], ['/admin/alarms', 'Alarms'], ['/admin/mails', 'Mails'],
];
/** What changes something: none of it is offered to an auditor. */
const ACTS = /^(Publish|Reject|Approve|Refuse|Suspend|Restore|Clear second factor|Send again|Dismiss)$/;

journey('staff: what an admin decides and an auditor sees', [], async (stage, step) => {
  const { market } = stage;
  const passwords = await market.passwords();
  const clinic = await stage.signedIn('clinic', await market.account('Small Clinic', ['CUSTODIAN']));
  const buyer = await market.account('Patient Buyer', ['BUYER']);
  const admin = await stage.staff('admin');
  const auditor = await stage.staff('auditor');

  await step('a custodian hands in a small table, without a backup, having said so', async () => {
    const file = join(market.dir, 'small.csv');
    await writeFile(file, smallTable());
    await clinic.open('/custodian/new');
    await clinic.file('Choose a table', file);
    await clinic.button(/^Encrypt/).waitFor({ timeout: SLOW });
    await clinic.select('Groups', 'plan');
    await clinic.sees('2 segments');
    await clinic.click(/^Encrypt/);
    await makeVault(clinic);
    await clinic.button('Review and submit').waitFor({ timeout: SLOW });
    await clinic.fill('Title', TITLE);
    await clinic.fill('Description', 'Three hundred visits.');
    await clinic.fill('Opening tickets for each quorum', '64');
    await clinic.click('Review and submit');
    await clinic.click('Submit for review');
    await clinic.click('Submit without a backup');
    await clinic.arrives(TITLE, SLOW);
  });

  await step('the admin rejects it with a reason, and not without one', async () => {
    await admin.journey('admin: reject one with a reason', async () => {
      await admin.follow('Admin');
      await admin.arrives('Overview');
      await admin.follow('1 listing waits');
      await admin.arrives('Review');
      await admin.aside(() => admin.look('admin-review'));
      await admin.follow(TITLE);
      await admin.arrives(TITLE);
      await admin.click('Reject');
      await admin.aside(async () => {
        await admin.click('Reject');
        await admin.sees('Reason is missing.');
        await admin.look('admin-reject');
      });
      await admin.fill('Reason', 'Say which years these are.');
      await admin.click('Reject');
      await admin.arrives('Review');
    });
    await admin.sees('Nothing waits for review');
  });

  await step('the custodian reads the reason and appeals; nothing was decided meanwhile', async () => {
    await clinic.page.reload();
    await clinic.still();
    await clinic.journey('custodian: appeal a rejection', async () => {
      await clinic.follow('Custodian');
      await clinic.arrives('Your datasets');
      await clinic.follow(TITLE);
      await clinic.arrives(TITLE);
      await clinic.sees('Say which years these are.');
      await clinic.aside(() => clinic.look('custodian-rejected'));
      await clinic.click('Appeal');
      await clinic.fill('Why it should be published', 'The description may say so: 2019 to 2021.');
      await clinic.click('Send the appeal');
      await clinic.sees('The appeal is with the admins: the listing waits for review again.');
    });
  });

  await step('what was decided while an admin looked is not decided again', async () => {
    const second = await stage.staff('admin');
    for (const p of [admin, second]) {
      await p.open('/admin/review');
      await p.sees('appeal');
      await p.follow(TITLE);
      await p.arrives(TITLE);
      await p.sees('The description may say so: 2019 to 2021.');
    }
    await admin.look('admin-appeal');
    await admin.click('Publish');
    await admin.click('Publish');
    await admin.arrives('Review');
    await second.click('Reject');
    await second.fill('Reason', 'Too late.');
    await second.expecting([/409/], async () => {
      await second.click('Reject');
      await second.dialog.locator('.note.bad').waitFor();
    });
    await second.leave();
    stage.people.splice(stage.people.indexOf(second), 1);
    await clinic.page.reload();
    await clinic.arrives(TITLE);
    await clinic.turn('Review');
    const history = await clinic.page.locator('main .timeline li strong').allInnerTexts();
    assert.deepEqual(history, ['Submitted', 'Rejected', 'Appealed', 'Published']);
  });

  await step('a deposit is asked for, and booked by the admin', async () => {
    const p = await stage.signedIn('buyer', buyer);
    await p.journey('buyer: money comes in', async () => {
      await p.menu('Balance');
      await p.arrives('Balance');
      await p.click('Deposit');
      await p.fill('Amount', '120.50');
      await p.click('Ask for the deposit');
      await p.sees('Asked. An admin decides.');
    });
    await p.look('balance-waiting');
    await admin.journey('admin: approve a deposit', async () => {
      await admin.follow('Admin');
      await admin.arrives('Overview');
      await admin.aside(() => admin.look('admin-overview'));
      await admin.follow('1 deposit waits');
      await admin.arrives('Cash');
      await admin.aside(() => admin.look('admin-cash'));
      await admin.click('Approve');
      await admin.click('Approve');
      await admin.sees('Approved.');
    });
    await p.page.reload();
    await p.still();
    await p.page.locator('.stat').filter({ hasText: 'Available' }).getByText('120.50 cr').waitFor();
    await p.look('balance');
  });

  await step('an account is found, suspended and restored; its session ends meanwhile', async () => {
    const p = stage.people.find((x) => x.name === 'buyer');
    assert.ok(p);
    await admin.journey('admin: suspend an account', async () => {
      await admin.follow('Admin');
      await admin.arrives('Overview');
      await admin.follow('Accounts');
      await admin.arrives('Accounts');
      await admin.fill('Name or mail address', buyer.mail);
      await admin.click('Search');
      await admin.page.getByRole('rowheader', { name: /Patient Buyer/ }).waitFor();
      await admin.page.getByRole('rowheader', { name: /Small Clinic/ }).waitFor({ state: 'detached' });
      await admin.click('Suspend');
      await admin.fill('Reason', 'Asked by the owner, who lost the phone.');
      await admin.click('Suspend');
      await admin.sees('Suspend: done.');
    });
    await admin.look('admin-accounts');
    await p.expecting([/40[13]/], async () => {
      await p.page.reload();
      await p.arrives('Sign in to see this page');
      await p.open('/signin');
      await p.fill('Mail address', buyer.mail);
      await p.fill('Password', buyer.password);
      await p.click('Sign in');
      await p.page.locator('main .note.bad').waitFor();
    });
    await admin.click('Restore');
    await admin.fill('Reason', 'The phone is found.');
    await admin.click('Restore');
    await admin.sees('Restore: done.');
    await p.signIn(buyer);
  });

  await step('the books balance, the log is whole, alarms are real: every page of the staff', async () => {
    for (const [path, heading] of STAFF) {
      await admin.open(path ?? '');
      await admin.arrives(heading ?? '');
      await admin.look(`admin-${(path ?? '').split('/')[2] ?? 'overview'}-later`);
    }
    await admin.open('/admin/ledger');
    await admin.sees(/The server recomputed \d+ transfers over \d+ accounts: every sum is zero/);
    await admin.sees(/This page added up the \d+ accounts below: zero/);
    await admin.open('/admin/audit');
    await admin.sees(/The server recomputed all [\d\s]+ records: the chain is whole/);
    await admin.sees(/records loaded here: each names the digest of the one before/);
    await admin.fill('Show only', 'no such word');
    await admin.sees('No record');
    await admin.times(STAFF.map(([path]) => String(path)));
    // The overview's figures are those of the API.
    await admin.open('/admin');
    const token = await market.token(passwords.admin);
    const o = (await market.gql('{ overview { accounts listingsPublished } }', {}, token)).overview;
    for (const [name, value] of [['Accounts', o.accounts], ['Published listings', o.listingsPublished]]) {
      assert.equal((await admin.page.locator('.stat').filter({ hasText: name }).locator('dd').first().innerText()).replaceAll(' ', ''), String(value));
    }
  });

  await step('an auditor sees all of it, may change nothing, and takes the books away', async () => {
    for (const [path, heading] of STAFF) {
      await auditor.open(path ?? '');
      await auditor.arrives(heading ?? '');
      assert.equal(await auditor.page.locator('main').getByRole('button', { name: ACTS }).count(), 0, `${path} offers an auditor an act`);
      await auditor.look(`auditor-${(path ?? '').split('/')[2] ?? 'overview'}`);
    }
    // Not only is it not shown: it is refused.
    const token = await market.token(passwords.auditor);
    const id = (await market.gql('{ accounts(first: 1) { nodes { id } } }', {}, token)).accounts.nodes[0].id;
    await assert.rejects(market.gql('mutation($id: String!) { suspendAccount(id: $id, reason: "no") { id } }', { id }, token), /FORBIDDEN/);

    /** @type {string} */
    let ledger = '';
    await auditor.journey('auditor: take the ledger away', async () => {
      await auditor.follow('Audit');
      await auditor.arrives('Overview');
      ledger = (await auditor.downloads(() => auditor.click('Ledger (CSV)'))).text;
    });
    const sums = new Map();
    const [head, ...rows] = ledger.trim().split(/\r?\n/).map((l) => l.split(','));
    assert.ok(head?.includes('amount'), `columns ${head}`);
    for (const r of rows) {
      const at = (/** @type {string} */ n) => r[head.indexOf(n)] ?? '';
      sums.set(at('transfer'), (sums.get(at('transfer')) ?? 0n) + BigInt(at('amount')));
    }
    assert.ok(sums.size >= 1);
    for (const [transfer, sum] of sums) assert.equal(sum, 0n, `transfer ${transfer}`);

    const log = await auditor.downloads(() => auditor.click('Audit log (JSONL)'));
    const records = log.text.trim().split('\n').map((l) => JSON.parse(l));
    for (const [i, r] of records.entries()) if (i > 0) assert.equal(r.previous, records[i - 1].digest, `record ${i}`);
    const orders = await auditor.downloads(() => auditor.click('Orders (CSV)'));
    assert.match(orders.text, /^[a-z_A-Z]+(,[a-z_A-Z]+)+/);

    await auditor.journey('auditor: note the head of the audit log', async () => {
      await auditor.follow('Audit');
      await auditor.arrives('Overview');
      await auditor.follow('Audit log');
      await auditor.arrives('Audit log');
      await auditor.click('Note this head');
      await auditor.sees(/is still the same: nothing up to it was rewritten/);
    });
    await auditor.page.reload();
    await auditor.still();
    await auditor.sees(/is still the same: nothing up to it was rewritten/);
  });
});
