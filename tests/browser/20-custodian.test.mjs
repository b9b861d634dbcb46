// A custodian's day: from no account to a listing that is published, looked
// after and withdrawn; the admin in between is a person at another browser.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RANDHIE, SLOW, eventually, makeVault, openVault, parseCsv, register, smallTable } from './lib/people.mjs';
import { journey } from './lib/stage.mjs';

const TITLE = 'Visits by insurance plan';

journey('custodian: a table becomes a listing', [], async (stage, step) => {
  const clinic = await stage.person('clinic');
  /** @type {import('./lib/person.mjs').Person} */
  let admin;
  /** Where the listing is. */
  let path = '';
  /** What the button says of the table's size. */
  let size = '';

  await step('registers and confirms the address by the letter', async () => {
    await clinic.journey('newcomer: the same as a custodian', async () => {
      await register(clinic, { name: 'Clinic North', mail: 'clinic@journeys.example', role: 'Custodian' });
    });
    await clinic.look('custodian-confirmed');
    await clinic.follow('List a dataset');
    await clinic.arrives('List a dataset');
    await clinic.look('custodian-new');
    await clinic.open('/custodian');
    await clinic.look('custodian-dashboard-empty');
  });

  await step('a table of 20,190 rows: inspected, a column changed, encrypted, dealt, uploaded, handed in', async () => {
    await clinic.journey('custodian: a table becomes a submitted listing', async () => {
      await clinic.follow('Custodian');
      await clinic.arrives('Your datasets');
      await clinic.follow('List a dataset');
      await clinic.arrives('List a dataset');
      await clinic.file('Choose a table', RANDHIE);
      await clinic.button(/^Encrypt [\d\s]+ values$/).waitFor({ timeout: SLOW });
      await clinic.aside(async () => {
        await clinic.sees('20 190');
        size = await clinic.button(/^Encrypt [\d\s]+ values$/).innerText();
        await clinic.look('custodian-inspected');
        await clinic.click('Change column mdvis');
        await clinic.fill(/^Unit/, 'visits');
        await clinic.fill(/^Least value/, '0');
        await clinic.fill(/^Greatest value/, '50');
        await clinic.select('What lies outside', 'clip');
        await clinic.look('custodian-column');
        await clinic.click('Apply');
        const row = clinic.page.getByRole('row').filter({ has: clinic.page.getByRole('rowheader', { name: 'mdvis', exact: true }) });
        await row.getByText('visits').waitFor({ timeout: SLOW });
        // Who has more than 50 visits is cut to the range, and counted.
        const many = parseCsv(await readFile(RANDHIE, 'utf8')).filter((r) => Number(r.mdvis) > 50).length;
        await row.getByText(`${many} clipped`).waitFor();
      });
      await clinic.click(/^Encrypt [\d\s]+ values$/);
      await makeVault(clinic);
      await clinic.button('Review and submit').waitFor({ timeout: SLOW });
      await clinic.aside(() => clinic.look('custodian-terms'));
      await clinic.fill('Title', TITLE);
      await clinic.fill('Description', 'Outpatient visits of 20,190 person-years by insurance plan, health and income. Public domain.');
      await clinic.click('Review and submit');
      await clinic.aside(() => clinic.look('custodian-review'));
      const backup = await clinic.downloads(() => clinic.click('Download the backup'));
      assert.match(backup.name, /^veilbourse-vault-.*\.vault$/);
      assert.ok(!backup.text.includes('private'), 'a sealed file');
      await clinic.sees('The backup of your keys is up to date.');
      await clinic.click('Submit for review');
      await clinic.arrives(TITLE, SLOW);
    });
    path = new URL(clinic.page.url()).pathname;
    await clinic.sees('An admin looks at it next.');
    await clinic.look('custodian-submitted');
  });

  await step('the admin publishes it', async () => {
    admin = await stage.staff('admin');
    await admin.journey('admin: publish a listing', async () => {
      await admin.follow('Admin');
      await admin.arrives('Overview');
      await admin.follow('1 listing waits');
      await admin.arrives('Review');
      await admin.follow(TITLE);
      await admin.arrives(TITLE);
      await admin.aside(() => admin.look('admin-review-one'));
      await admin.click('Publish');
      await admin.click('Publish');
      await admin.arrives('Review');
    });
    await clinic.page.reload();
    await clinic.still();
    await clinic.page.locator('main .badge').getByText('published').first().waitFor();
  });

  await step('the nodes accept the tickets, and every part of the listing is shown', async () => {
    await eventually(clinic, () => clinic.table(/Dealings of tickets/).getByText('accepted').count(), 3);
    for (const tab of ['Budget and tickets', 'Queries', 'Policy', 'Review', 'Synthetic twin']) {
      await clinic.turn(tab);
      await clinic.still();
      if (tab === 'Synthetic twin') await clinic.sees(/^Synthetic: \d+ rows sampled/);
      await clinic.look(`custodian-listing-${tab.toLowerCase().replaceAll(' ', '-')}`);
    }
    // One plot a column, each with a name and a table of its figures.
    const plots = clinic.page.locator('main .plots figure');
    assert.ok((await plots.count()) >= 9, 'a plot for each column');
    for (const f of await plots.all()) {
      assert.notEqual((await f.locator('figcaption').innerText()).trim(), '');
      assert.ok((await f.locator('svg > title').count()) >= 1, 'a plot has a name');
    }
  });

  await step('a letter tells that it is published', async () => {
    await clinic.open('/mails');
    await clinic.sees(new RegExp(TITLE));
    await clinic.look('custodian-letters');
  });

  await step('pauses, resumes', async () => {
    await clinic.journey('custodian: pause a listing', async () => {
      await clinic.follow('Custodian');
      await clinic.arrives('Your datasets');
      await clinic.follow(TITLE);
      await clinic.arrives(TITLE);
      await clinic.click('Pause');
      await clinic.click('Pause');
      await clinic.sees('The listing is paused.');
    });
    await clinic.click('Resume');
    await clinic.click('Resume');
    await clinic.sees('The listing is published.');
    await clinic.open('/custodian');
    await clinic.look('custodian-dashboard');
  });

  await step('lists another table: the vault is open', async () => {
    await openVault(clinic);
    const file = join(stage.market.dir, 'small.csv');
    await writeFile(file, smallTable());
    await clinic.journey('custodian: another table, vault open', async () => {
      await clinic.follow('Custodian');
      await clinic.arrives('Your datasets');
      await clinic.follow('List a dataset');
      await clinic.arrives('List a dataset');
      await clinic.file('Choose a table', file);
      await clinic.click(/^Encrypt [\d\s]+ values$/);
      await clinic.button('Review and submit').waitFor({ timeout: SLOW });
      await clinic.fill('Title', 'Another table');
      await clinic.fill('Description', 'Three hundred visits.');
      await clinic.fill('Opening tickets for each quorum', '64');
      await clinic.click('Review and submit');
      await clinic.downloads(() => clinic.click('Download the backup'));
      await clinic.click('Submit for review');
      await clinic.arrives('Another table', SLOW);
    });
  });

  await step('the same table as Parquet has the same columns and values', async () => {
    await clinic.open('/custodian/new');
    await clinic.file('Choose a table', RANDHIE.replace('randhie.csv', 'parquet/randhie.parquet'));
    const button = clinic.button(/^Encrypt [\d\s]+ values$/);
    await button.waitFor({ timeout: SLOW });
    assert.equal(await button.innerText(), size);
    await clinic.look('custodian-parquet');
    // A page that was opened anew has a vault that is closed.
    await openVault(clinic);
  });

  await step('asks another price', async () => {
    await clinic.journey('custodian: another price', async () => {
      await clinic.follow('Custodian');
      await clinic.arrives('Your datasets');
      await clinic.follow(TITLE);
      await clinic.arrives(TITLE);
      await clinic.turn('Policy');
      await clinic.click('Change price or policy');
      await clinic.fill('Price of an order', '12.50');
      await clinic.click('Sign version 2');
      await clinic.sees('The new policy holds.', SLOW);
    });
    await clinic.page.getByText('12.50').first().waitFor();
  });

  await step('deals more tickets', async () => {
    await clinic.journey('custodian: more tickets', async () => {
      await clinic.follow('Custodian');
      await clinic.arrives('Your datasets');
      await clinic.follow(TITLE);
      await clinic.arrives(TITLE);
      await clinic.click('Deal more tickets');
      await clinic.fill('Tickets for each quorum', '512');
      await clinic.click('Deal and sign');
      await clinic.page.locator('dialog[open]').waitFor({ state: 'detached', timeout: SLOW });
    });
    await eventually(clinic, () => clinic.table(/Dealings of tickets/).getByText('accepted').count(), 6);
  });

  await step('the pages stand soon', async () => {
    await clinic.times(['/custodian', '/custodian/new', path]);
  });

  await step('withdraws it by typing its title', async () => {
    await clinic.open(path);
    await clinic.click('Withdraw');
    await clinic.fill(/^Type /, 'something else');
    await clinic.click('Withdraw');
    await clinic.sees(/This is not/);
    await clinic.fill(/^Type /, TITLE);
    await clinic.click('Withdraw');
    await clinic.sees('The listing is withdrawn.');
    await clinic.open('/listings');
    assert.equal(await clinic.page.getByRole('link', { name: TITLE }).count(), 0);
  });
});
