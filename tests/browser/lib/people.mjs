// Ways that several journeys share: registering, the vault, money.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ROOT } from './market.mjs';

/** @typedef {import('./person.mjs').Person} Person */

export const PASSWORD = 'four unrelated words do 1';
export const PASSPHRASE = 'a vault has a phrase of its own';
export const RANDHIE = join(ROOT, 'tests/data/randhie.csv');
/** Longest encryption, upload, dealing or proof on a slow machine. */
export const SLOW = 15 * 60_000;

/**
 * From the first page to a confirmed account, by the letter.
 * @param {Person} p
 * @param {{name: string, mail: string, role?: string}} who a buyer where no role is named
 */
export async function register(p, who) {
  await p.follow('Register');
  await p.arrives('Make an account');
  await p.fill('Name', who.name);
  await p.fill('Mail address', who.mail);
  await p.fill('Password', PASSWORD);
  if (who.role) await p.choose(who.role);
  await p.click('Make the account');
  await p.arrives('Look into your mail');
  await p.follow('can be read here');
  await p.arrives('Letters');
  await p.click(p.table('Letters on this machine').getByRole('button', { name: 'Read', exact: true }).first());
  await p.dialog.getByRole('link').first().waitFor();
  await p.click(p.dialog.getByRole('link').first());
  await p.arrives('Your address is confirmed');
  return { mail: who.mail, password: PASSWORD };
}

/** Answers the vault's dialogs of the first time: two clicks. @param {Person} p */
export async function makeVault(p) {
  await p.dialog.getByRole('heading', { name: 'Make your vault' }).waitFor();
  await p.fill('Passphrase', PASSPHRASE);
  await p.fill('The same again', PASSPHRASE);
  await p.click('Make the vault');
  await p.dialog.getByRole('heading', { name: 'Is this the right marketplace?' }).waitFor();
  await p.click('It is the right one');
}

/** Opens a vault that is there: one click. @param {Person} p */
export async function unlockVault(p) {
  await p.fill('Passphrase of your vault', PASSPHRASE);
  await p.click('Unlock');
}

/** Opens the vault on the account's page, not counted. @param {Person} p */
export async function openVault(p) {
  await p.aside(async () => {
    await p.menu('Account');
    await p.arrives('Account');
    await p.click('Show the vault');
    await p.click('Unlock');
    await unlockVault(p);
    await p.button('Lock').waitFor({ timeout: SLOW });
  });
}

/**
 * Goes on looking, page reloaded in between, until so many are there.
 * @param {Person} p
 * @param {() => Promise<number>} count
 * @param {number} wanted
 */
export async function eventually(p, count, wanted) {
  for (let i = 0; i < 180; i += 1) {
    if ((await count()) === wanted) return;
    await new Promise((r) => setTimeout(r, 2_000));
    await p.page.reload();
    await p.still();
  }
  assert.equal(await count(), wanted);
}

/** A table of 300 rows in two groups, small so that the staff is what is tested. */
export function smallTable() {
  const lines = ['plan,visits,age'];
  for (let i = 0; i < 300; i += 1) lines.push(`${i % 2 ? 'free' : 'paying'},${(i * 7) % 23},${20 + ((i * 13) % 60)}`);
  return `${lines.join('\n')}\n`;
}

/**
 * Rows of a CSV without quotes.
 * @param {string} text
 * @returns {Record<string, string>[]}
 */
export function parseCsv(text) {
  const [head, ...rows] = text.trim().split(/\r?\n/).map((l) => l.split(','));
  return rows.map((r) => Object.fromEntries((head ?? []).map((h, i) => [h, r[i] ?? ''])));
}

/** @param {number[]} all */
export function mean(all) {
  return all.reduce((a, b) => a + b, 0) / all.length;
}
