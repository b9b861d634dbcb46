// A person at a browser: a profile of their own, whose clicks are counted and
// whose console must stay silent.

import { chromium } from 'playwright-core';
import { readFile, mkdir, access } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './market.mjs';

const HERE = new URL('..', import.meta.url).pathname;
export const SCREENSHOTS = join(ROOT, 'target', 'screenshots');
const AXE = await readFile(join(HERE, 'node_modules/axe-core/axe.min.js'), 'utf8');

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

/** Why no browser test can run here; undefined when they can. */
export const NO_BROWSER = (await executable()) ? undefined : 'SKIPPED: no Chromium found (set CHROMIUM)';

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

export class Person {
  clicks = 0;
  /** What the console said that it should not have. @type {string[]} */
  complaints = [];
  /** Expected complaints, for journeys with a cut line. @type {RegExp[]} */
  expected = [];

  /** @param {string} name @param {string} url @param {import('playwright-core').BrowserContext} context */
  constructor(name, url, context) {
    this.name = name;
    this.url = url;
    this.context = context;
  }

  /** @param {string} name @param {string} url @param {import('playwright-core').BrowserContextOptions} options */
  static async at(name, url, options = {}) {
    const context = await (await launched()).newContext({
      viewport: { width: 1280, height: 900 },
      acceptDownloads: true,
      ...options,
    });
    const p = new Person(name, url, context);
    p.page = await p.tab();
    return p;
  }

  /** One more tab of the same profile. */
  async tab() {
    const page = await this.context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('console', (m) => {
      if (m.type() === 'error' || m.type() === 'warning') this.#complain(`${m.type()}: ${m.text()} (${m.location().url})`);
    });
    page.on('pageerror', (e) => this.#complain(`uncaught: ${e.message}`));
    return page;
  }

  /** @param {string} text */
  #complain(text) {
    if (!this.expected.some((e) => e.test(text))) this.complaints.push(text);
  }

  /** Goes to a path and waits until the page stands. @param {string} path */
  async open(path) {
    await this.page.goto(this.url + path);
    await this.stands();
  }

  /** Until the page says that it is no longer loading. */
  async stands(page = this.page) {
    await page.locator('main:not([aria-busy="true"]) h1').first().waitFor();
  }

  /** A counted click. @param {import('playwright-core').Locator | string} what */
  async click(what) {
    this.clicks += 1;
    const target = typeof what === 'string' ? this.page.getByRole('button', { name: what, exact: true }) : what;
    await target.click();
  }

  /** A counted click on a link. @param {string} name */
  async follow(name) {
    await this.click(this.page.getByRole('link', { name, exact: true }).first());
    await this.stands();
  }

  /** Types into a field by its label. @param {string} label @param {string} text */
  async fill(label, text) {
    await this.page.getByLabel(label, { exact: true }).first().fill(text);
  }

  /** Serious findings of axe on the page as it is. */
  async accessibility() {
    await this.page.evaluate(AXE);
    const found = await this.page.evaluate(() =>
      // @ts-ignore: axe was put there the line above
      globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }),
    );
    return found.violations
      .filter((/** @type {any} */ v) => v.impact === 'serious' || v.impact === 'critical')
      .map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target.join(' ')).join(', ')}`);
  }

  /** Pictures of a page: light, dark, and as on a phone. @param {string} name */
  async pictures(name) {
    await mkdir(SCREENSHOTS, { recursive: true });
    const file = (/** @type {string} */ kind) => join(SCREENSHOTS, `${name}-${kind}.png`);
    await this.page.emulateMedia({ colorScheme: 'light' });
    await this.page.screenshot({ path: file('light'), fullPage: true });
    await this.page.emulateMedia({ colorScheme: 'dark' });
    await this.page.screenshot({ path: file('dark'), fullPage: true });
    const before = this.page.viewportSize();
    await this.page.setViewportSize({ width: 360, height: 740 });
    await this.page.screenshot({ path: file('phone'), fullPage: true });
    const wide = await this.page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > 360) this.#complain(`${name} is ${wide} px wide on a phone of 360 px`);
    if (before) await this.page.setViewportSize(before);
    await this.page.emulateMedia({ colorScheme: null });
  }

  async leave() {
    await this.context.close();
  }
}
