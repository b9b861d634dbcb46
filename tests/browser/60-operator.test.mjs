// Whoever runs pods and key nodes: how they are, what they earn, how to start
// one; and the admin who admits it.

import assert from 'node:assert/strict';
import { eventually } from './lib/people.mjs';
import { journey } from './lib/stage.mjs';

journey('operator: machines', [], async (stage, step) => {
  const operator = await stage.staff('operator');

  await step('sees the pod and the nodes at work', async () => {
    await operator.menu('Pods and key nodes');
    await operator.arrives('Pods and key nodes');
    await operator.page.getByRole('rowheader', { name: 'pod', exact: true }).waitFor();
    // A pod and three nodes; the pod says so when it has read its reference string.
    await eventually(operator, () => operator.page.locator('main .badge').filter({ hasText: /^at work$/ }).count(), 4);
    await operator.look('operator');
  });

  await step('has the commands that start one, as text to copy', async () => {
    await operator.journey('operator: the commands that start a pod', async () => {
      await operator.menu('Pods and key nodes');
      await operator.arrives('Pods and key nodes');
      await operator.click('Copy');
    });
    const copied = await operator.page.evaluate(() => navigator.clipboard.readText());
    const { mail } = (await stage.market.passwords()).operator;
    assert.ok(copied.includes(`VEILBOURSE_SERVER=${stage.market.url}`) && copied.includes(mail), copied);
    assert.match(copied, /veilbourse pod --init/);
    for (const tab of ['A committee’s node', 'A custodian’s own node']) {
      await operator.turn(tab);
      await operator.look(`operator-${tab.toLowerCase().replace(/[^a-z]+/g, '-')}`);
    }
  });

  await step('somebody who runs none is told how to begin', async () => {
    const other = await stage.signedIn('newcomer', await stage.market.account('New Operator', ['PARTNER']));
    await other.open('/operator');
    await other.sees('No pod yet');
    await other.look('operator-none');
  });

  await step('a pod is registered by its operator and admitted by the admin', async () => {
    const who = await stage.market.account('Third Operator', ['PARTNER']);
    await stage.market.command(['pod', '--init', '--name', 'pod 2'], who);
    const admin = await stage.staff('admin');
    await admin.journey('admin: admit a pod', async () => {
      await admin.follow('Admin');
      await admin.arrives('Overview');
      await admin.follow('1 machine waits');
      await admin.arrives('Machines');
      await admin.aside(() => admin.look('admin-machines-waiting'));
      await admin.click('Approve');
      await admin.click('Approve');
      await admin.sees('Approved.');
    });
  });

  await step('the admin looks at their work', async () => {
    const admin = stage.people.find((x) => x.name === 'admin');
    assert.ok(admin);
    await admin.open('/admin/machines');
    await admin.page.locator('main details summary').filter({ hasText: 'Work' }).first().click();
    await admin.sees('Jobs done');
    await admin.turn('Key nodes');
    await admin.still();
    await admin.look('admin-nodes');
  });
});
