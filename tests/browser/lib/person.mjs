// A person at a browser: a profile of their own, whose clicks are counted, whose
// console must stay silent, and whose pages are held to the laws of all pages.

import assert from 'node:assert/strict';
import { readFile, mkdir, access } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { row } from './clicks.mjs';
import { ROOT } from './market.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('playwright-core').Locator} Locator */

const HERE = new URL('..', import.meta.url).pathname;
export const SCREENSHOTS = join(ROOT, 'target', 'screenshots');
const AXE = await readFile(join(HERE, 'node_modules/axe-core/axe.min.js'), 'utf8');
const WIDE = { width: 1280, height: 900 };
/** A small phone. */
const PHONE = { width: 360, height: 740 };

/** What a page may take until it stands (design: under one second). */
const SOON = 1_000;

/** The browser that is there. */
async function executable() {
  for (const path of [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']) {
    if (!path) continue;
    try {
      await access(path);
      return path;
    } catch {
      // The next one.
    }
  }
  return undefined;
}

/** Why no browser test can run here; false when they can. */
export const NO_BROWSER = (await executable()) ? false : 'SKIPPED: no Chromium found (set CHROMIUM)';

/** @type {import('playwright-core').Browser | undefined} */
let browser;
async function launched() {
  browser ??= await chromium.launch({
    executablePath: await executable(),
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  return browser;
}
export async function close() {
  await browser?.close();
  browser = undefined;
}

/**
 * Notes in the page when its heading stood first, and when nothing in it was
 * loading any more. Runs in every document before its own scripts.
 */
function notes() {
  const page = /** @type {any} */ (globalThis);
  page.journey = { heading: 0, still: 0 };
  const look = () => {
    const main = document.querySelector('main');
    if (!page.journey.heading && main?.querySelector('h1')) page.journey.heading = performance.now();
    if (page.journey.heading && !main?.querySelector('.skeleton')) page.journey.still ||= performance.now();
    else page.journey.still = 0;
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true });
}

export class Person {
  /** What was pressed, in order. @type {string[]} */
  pressed = [];
  /** What the console said that it should not have. @type {string[]} */
  complaints = [];
  /** Complaints that a step brings about on purpose. @type {RegExp[]} */
  #expected = [];
  #aside = 0;
  /** @type {Page} */
  page;

  /** @param {string} name @param {string} url @param {import('playwright-core').BrowserContext} context */
  constructor(name, url, context) {
    this.name = name;
    this.url = url;
    this.context = context;
    this.page = /** @type {any} */ (null);
  }

  /** @param {string} name @param {string} url @param {import('playwright-core').BrowserContextOptions} [options] */
  static async at(name, url, options = {}) {
    const context = await (await launched()).newContext({
      viewport: WIDE, acceptDownloads: true, reducedMotion: 'reduce', locale: 'en-GB', permissions: ['clipboard-read', 'clipboard-write'], ...options,
    });
    await context.addInitScript(notes);
    const p = new Person(name, url, context);
    p.page = await p.tab();
    return p;
  }

  /** One more tab of the same profile. */
  async tab() {
    const page = await this.context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('console', (m) => {
      if (m.type() === 'error' || m.type() === 'warning') this.complain(`${m.type()}: ${m.text()} (${m.location().url})`);
    });
    page.on('pageerror', (e) => this.complain(`uncaught: ${e.message}`));
    return page;
  }

  /** @param {string} text */
  complain(text) {
    if (!this.#expected.some((e) => e.test(text))) this.complaints.push(`${this.name} at ${this.page ? new URL(this.page.url() || this.url).pathname : '?'}: ${text}`);
  }

  /**
   * While this runs, these complaints are what is wanted.
   * @template T
   * @param {RegExp[]} which
   * @param {() => Promise<T>} act
   */
  async expecting(which, act) {
    this.#expected.push(...which);
    try {
      return await act();
    } finally {
      // The console's lines come a little after what brought them about.
      await new Promise((r) => setTimeout(r, 200));
      this.#expected.splice(-which.length);
    }
  }

  // Going and waiting

  /** Types an address. @param {string} path */
  async open(path) {
    await this.page.goto(this.url + path);
    await this.still();
  }

  /** The first page: by the way back that every page has, so that what is open stays open. */
  async home() {
    const brand = this.page.getByRole('link', { name: 'Veilbourse, first page' });
    if (!this.page.url().startsWith(this.url) || !(await brand.count())) {
      await this.open('/');
      return;
    }
    await brand.click();
    await this.arrives('Insight from data that nobody is allowed to see');
  }

  /** Until the page stands and nothing in it is loading. */
  async still(page = this.page) {
    await page.locator('main h1').first().waitFor();
    await page.waitForFunction(() => !document.querySelector('main .skeleton'));
  }

  /** Until the page with this heading stands. @param {string | RegExp} heading @param {number} [ms] */
  async arrives(heading, ms = 20_000) {
    await this.page.getByRole('heading', { level: 1, name: heading, exact: typeof heading === 'string' }).waitFor({ timeout: ms });
    await this.still();
  }

  /** Until this is said on the page. @param {string | RegExp} text @param {number} [ms] */
  async sees(text, ms = 20_000) {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor({ timeout: ms });
  }

  // What counts as a click

  /**
   * A button by its name, or whatever is given; counted.
   * @param {string | RegExp | Locator} what
   */
  async click(what) {
    const target = typeof what === 'string' || what instanceof RegExp ? this.button(what) : what;
    await this.#press(target, typeof what === 'string' || what instanceof RegExp ? String(what) : undefined);
  }

  /** A button; of the dialog, where one is open. @param {string | RegExp} name */
  button(name) {
    return this.#front().getByRole('button', { name, exact: typeof name === 'string' }).first();
  }

  /** What is in front: the dialog that was opened last, else the page. */
  #front() {
    return this.page.locator('dialog[open]').last().or(this.page.locator('body:not(:has(dialog[open]))'));
  }

  /** A table by its caption. @param {string | RegExp} caption */
  table(caption) {
    return this.#front().getByRole('table', { name: caption, exact: typeof caption === 'string' });
  }

  /** The dialog in front. */
  get dialog() {
    return this.page.locator('dialog[open]').last();
  }

  /** A counted link. @param {string | RegExp} name */
  async follow(name) {
    await this.#press(this.#front().getByRole('link', { name, exact: typeof name === 'string' }).first(), String(name));
  }

  /** A counted tick or choice, by its label. @param {string | RegExp} label */
  async choose(label) {
    await this.#press(this.#front().getByLabel(label, { exact: typeof label === 'string' }).first(), String(label));
  }

  /** A counted tab of the page. @param {string} name */
  async turn(name) {
    await this.#press(this.page.getByRole('tab', { name, exact: true }), name);
  }

  /** Chooses of a list: one click. @param {string} label @param {string | {label: string}} option */
  async select(label, option) {
    await this.#front().getByLabel(label, { exact: true }).first().selectOption(option);
    this.#count(label);
  }

  /**
   * Chooses a file: one click.
   * @param {string} label
   * @param {string | {name: string, mimeType: string, buffer: Buffer}} file
   */
  async file(label, file) {
    await this.#front().getByLabel(label, { exact: true }).first().setInputFiles(file);
    this.#count(label);
  }

  /** @param {Locator} target @param {string} [name] */
  async #press(target, name) {
    await target.waitFor();
    const said = name ?? ((await target.getAttribute('aria-label')) ?? (await target.innerText())).trim();
    await target.click();
    this.#count(said);
  }

  /** @param {string} what */
  #count(what) {
    if (this.#aside === 0) this.pressed.push(what);
  }

  /**
   * What the test does on the way, and the person would not: not counted.
   * @template T
   * @param {() => Promise<T>} act
   */
  async aside(act) {
    this.#aside += 1;
    try {
      return await act();
    } finally {
      this.#aside -= 1;
    }
  }

  /**
   * A journey of the guide's table, from the first page: as many clicks as it
   * says.
   * @param {string} name
   * @param {() => Promise<void>} walk
   */
  async journey(name, walk) {
    await this.home();
    await this.counted(name, walk);
  }

  /**
   * The same from the page that is open.
   * @param {string} name
   * @param {() => Promise<void>} walk
   */
  async counted(name, walk) {
    const wanted = row(name);
    const before = this.pressed.length;
    await walk();
    const done = this.pressed.slice(before);
    assert.equal(done.length, wanted.clicks, `${name}: the guide says ${wanted.clicks} clicks (${wanted.which.join('; ')}), it took ${done.length} (${done.join('; ')})`);
    assert.equal(wanted.which.length, wanted.clicks, `${name}: the guide counts ${wanted.clicks} clicks and names ${wanted.which.length}`);
  }

  /** Types into a field. @param {string | RegExp} label @param {string} text */
  async fill(label, text) {
    await this.#front().getByLabel(label, { exact: typeof label === 'string' }).first().fill(text);
  }

  /**
   * What a press downloads, as text or bytes.
   * @param {() => Promise<unknown>} act
   * @returns {Promise<{name: string, bytes: Buffer, text: string, path: string}>}
   */
  async downloads(act) {
    const coming = this.page.waitForEvent('download');
    await act();
    const d = await coming;
    const path = await d.path();
    const bytes = await readFile(path);
    return { name: d.suggestedFilename(), bytes, text: bytes.toString('utf8'), path };
  }

  // Signing in and out

  /** Signs in by the page. @param {{mail: string, password: string}} who */
  async signIn(who) {
    await this.aside(async () => {
      await this.open('/signin');
      await this.fill('Mail address', who.mail);
      await this.fill('Password', who.password);
      await this.click('Sign in');
      await this.page.locator('header summary').waitFor();
      await this.still();
    });
  }

  /** Opens the menu of the account and follows one of its links: two clicks. @param {string} name */
  async menu(name) {
    await this.#press(this.page.locator('header summary'), 'the account’s menu');
    await this.#press(this.page.locator('.menu-body').getByRole('link', { name, exact: true }), name);
  }

  // The laws of all pages

  /**
   * Holds the present page to them, and takes its pictures: no finding of axe
   * that is serious, wide and light or narrow and dark; nothing to scroll
   * sideways on a phone; and no part of it has failed.
   * @param {string} name
   */
  async look(name) {
    await this.still();
    for (const f of await this.page.locator('.note.bad p', { hasText: /^Code / }).allInnerTexts()) this.complain(`${name}: a part of the page failed: ${f}`);
    await mkdir(SCREENSHOTS, { recursive: true });
    /** @type {[string, import('playwright-core').ViewportSize, 'light' | 'dark'][]} */
    const ways = [['light', WIDE, 'light'], ['dark', WIDE, 'dark'], ['phone', PHONE, 'light'], ['phone-dark', PHONE, 'dark']];
    for (const [kind, size, colorScheme] of ways) {
      await this.page.setViewportSize(size);
      await this.page.emulateMedia({ colorScheme });
      await this.page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))));
      for (const finding of await this.#accessibility()) this.complain(`${name}, ${kind}: ${finding}`);
      if (size === PHONE) {
        const over = await this.page.evaluate((most) => {
          const wide = document.documentElement.scrollWidth;
          if (wide <= most) return null;
          const guilty = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > most + 1).slice(0, 4);
          return `${wide} px wide: ${guilty.map((e) => `${e.tagName.toLowerCase()}.${e.className}`).join(', ')}`;
        }, PHONE.width);
        if (over) this.complain(`${name}: on a phone of ${PHONE.width} px the page is ${over}`);
      }
      if (kind !== 'phone-dark') await this.page.screenshot({ path: join(SCREENSHOTS, `${name}-${kind}.png`), fullPage: !(await this.dialog.count()) });
    }
    await this.page.setViewportSize(WIDE);
    await this.page.emulateMedia({ colorScheme: null });
  }

  /** Serious findings of axe on the page as it is. @returns {Promise<string[]>} */
  async #accessibility() {
    await this.page.evaluate(AXE);
    return this.page.evaluate(async () => {
      // @ts-ignore: axe was put there the line above
      const found = await globalThis.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
      return found.violations
        .filter((/** @type {any} */ v) => v.impact === 'serious' || v.impact === 'critical')
        .map((/** @type {any} */ v) => `axe ${v.id}: ${v.nodes.slice(0, 5).map((/** @type {any} */ n) => `${n.target.join(' ')} (${n.failureSummary.split('\n').pop().trim().slice(0, 160)})`).join('; ')}`);
    });
  }

  /**
   * How long a page takes from the start of the navigation, and what it
   * fetches, in a profile that has seen nothing of the site yet.
   * @param {string} path
   * @returns {Promise<{path: string, heading: number, still: number, bytes: number}>}
   */
  async measure(path) {
    const page = await this.tab();
    const devtools = await this.context.newCDPSession(page);
    await devtools.send('Network.enable');
    await devtools.send('Network.setCacheDisabled', { cacheDisabled: true });
    let bytes = 0;
    devtools.on('Network.loadingFinished', (e) => (bytes += e.encodedDataLength));
    await page.goto(this.url + path);
    await this.still(page);
    const times = await page.evaluate(() => /** @type {any} */ (globalThis).journey);
    await page.waitForLoadState('networkidle');
    await page.close();
    return { path, heading: times.heading, still: times.still, bytes };
  }

  /**
   * Measures pages and prints them as a table: what is promised is under a
   * second; how long it took is said, not judged, for a machine has other work.
   * @param {string[]} paths
   */
  async times(paths) {
    const all = [];
    for (const path of paths) all.push(await this.measure(path));
    const shown = (/** @type {string} */ p) => p.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, ':id').padEnd(28);
    console.log(`${this.name}: page`.padEnd(28), 'heading ms', '  still ms', '   bytes fetched');
    for (const m of all) console.log(shown(m.path), m.heading.toFixed(0).padStart(10), m.still.toFixed(0).padStart(10), String(m.bytes).padStart(16), m.still > SOON ? '  over a second' : '');
    return all;
  }

  async leave() {
    await this.context.close();
  }
}
