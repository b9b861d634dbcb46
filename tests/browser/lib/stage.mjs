// What every journey stands on: a market, people at browsers, and steps of
// which none runs after one has failed.

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Market } from './market.mjs';
import { NO_BROWSER, Person, SCREENSHOTS, close } from './person.mjs';

/** Longest journey: proofs are made on whatever machine this is. */
const LONGEST = 30 * 60_000;

export class Stage {
  /** @type {Person[]} */
  people = [];
  /** @param {Market} market */
  constructor(market) {
    this.market = market;
  }

  /**
   * A person at this market.
   * @param {string} name
   * @param {{url?: string, options?: import('playwright-core').BrowserContextOptions}} [o]
   */
  async person(name, o = {}) {
    const p = await Person.at(name, o.url ?? this.market.url, o.options);
    this.people.push(p);
    return p;
  }

  /** A person who is signed in. @param {string} name @param {{mail: string, password: string}} who */
  async signedIn(name, who) {
    const p = await this.person(name);
    await p.signIn(who);
    return p;
  }

  /** A person of the market's own staff. @param {'admin' | 'auditor' | 'operator' | 'custodian'} role */
  async staff(role) {
    return this.signedIn(role, (await this.market.passwords())[role]);
  }

  /** Pictures of where everybody was, and what the market said. @param {string} title */
  async report(title) {
    const name = title.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 60);
    await mkdir(SCREENSHOTS, { recursive: true });
    for (const p of this.people) {
      for (const [i, page] of p.context.pages().entries()) await page.screenshot({ path: join(SCREENSHOTS, `failed-${name}-${p.name}-${i}.png`), fullPage: true }).catch(() => {});
    }
    await writeFile(join(SCREENSHOTS, `failed-${name}.log`), this.market.log);
  }
}

/** @typedef {(name: string, act: () => Promise<unknown>) => Promise<void>} Step */

/**
 * A journey through a market of its own.
 * @param {string} title
 * @param {string[]} args of `veilbourse market`
 * @param {(stage: Stage, step: Step) => Promise<void>} walk
 */
export function journey(title, args, walk) {
  test(title, { skip: NO_BROWSER, timeout: LONGEST }, async (t) => {
    const stage = new Stage(await Market.start(args));
    t.after(async () => {
      await close();
      await stage.market.stop();
    });
    /** @type {string | null} */
    let failed = null;
    /** @type {Step} */
    const step = async (name, act) => {
      if (failed) return;
      await t.test(name, async () => {
        try {
          await act();
        } catch (e) {
          failed = name;
          await stage.report(`${title} ${name}`);
          throw e;
        }
      });
    };
    await walk(stage, step);
    await t.test('no complaint from a console, axe or a narrow screen', () => {
      assert.deepEqual(stage.people.flatMap((p) => p.complaints), []);
    });
  });
}
