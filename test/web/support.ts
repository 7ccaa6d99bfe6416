import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { createImage, decode, resizeInto, type WritableImage } from '../../src/image/index.js';
import { ROOT } from '../helpers/data.js';

const CHROMIUM = '/usr/bin/chromium';
export const BUILT = join(ROOT, 'dist', 'web');

/** Use as a test's `skip` option. */
export function withoutPage(): string | false {
  return existsSync(join(BUILT, 'index.html')) ? false : 'needs the built page (npm run build)';
}

/** Use as a test's `skip` option. */
export function withoutBrowser(): string | false {
  if (!existsSync(CHROMIUM)) return `needs ${CHROMIUM} (deploy/packages/test.txt)`;
  return withoutPage();
}

export async function openBrowser(t: TestContext): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    // Chromium's sandbox does not work for root.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--disable-dev-shm-usage'],
  });
  t.after(() => browser.close());
  return browser;
}

/** A page that fails the test for every error in it and for every address beyond the daemon that it asks. */
export async function openPage(
  t: TestContext,
  browser: Browser,
  { base, ...options }: BrowserContextOptions & { base: string },
): Promise<{ page: Page; errors: readonly string[] }> {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  const page = await context.newPage();
  // So that a fault does not hang; a busy machine takes its time.
  page.setDefaultTimeout(120_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !/^(blob|data):/.test(url)) errors.push(`asked ${url}`);
  });
  page.on('console', (message) => {
    if (/Content Security Policy/.test(message.text())) errors.push(message.text());
  });
  await page.addInitScript(`
    globalThis.shifts = [];
    new PerformanceObserver((list) => {
      for (const { hadRecentInput, value } of list.getEntries()) if (!hadRecentInput) shifts.push(value);
    }).observe({ type: 'layout-shift', buffered: true });
  `);
  return { page, errors };
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** No violation of axe-core's rules on the view as it stands. */
export async function assertAccessible(page: Page, view: string): Promise<void> {
  await page.evaluate(AXE);
  const violations = await page.evaluate<object[]>(`axe.run().then(({ violations }) =>
    violations.map(({ id, nodes }) => ({
      id,
      nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => html + ': ' + failureSummary),
    })))`);
  assert.deepEqual(violations, [], `axe-core on ${view}`);
}

export interface Scene {
  /** Null: nobody. */
  readonly jpeg: Uint8Array | null;
  readonly seconds: number;
}

/** Frames at ten a second in which faces sway a little, scene after scene. */
export function* framesOf(scenes: readonly Scene[]): Generator<WritableImage> {
  const frame = createImage(640, 480, 'bgr24');
  for (const { jpeg, seconds } of scenes) {
    const face = jpeg === null ? null : decode(jpeg);
    for (let index = 0; index < seconds * 10; index++) {
      if (face === null) frame.data.fill(96);
      else {
        const sway = Math.sin(index / 6);
        const height = face.height * (1.1 + 0.05 * sway);
        const width = (height * 4) / 3;
        resizeInto(face, frame, { roi: { x: (face.width - width) / 2, y: 4 * sway, width, height } });
      }
      yield frame;
    }
  }
}
