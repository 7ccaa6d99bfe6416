import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { endlessCamera } from '../helpers/clips.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openWeb, portrait, type Web } from '../http/support.js';
import { assertAccessible, framesOf, openBrowser, openPage, withoutBrowser } from './support.js';

const NAME = 'Owner';
const PASSWORD = 'a long sentence for the door';
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const VIEWS = [
  'live',
  'events',
  'people',
  'unknown',
  'enrol',
  'doors',
  'health',
  'settings',
  'backup',
  'more',
];

interface House {
  readonly web: Web;
  readonly beaComes: () => void;
}

/** A door at which Ada stands, then nobody, again and again; once she has come, Bea in between. */
async function house(t: TestContext): Promise<House> {
  const dir = await temporaryDir(t);
  const [ada, bea] = [await portrait('Ada'), await portrait('Bea')];
  const scenes = (second: Uint8Array | null) => [
    { jpeg: ada, seconds: 12 },
    { jpeg: null, seconds: 3 },
    { jpeg: second, seconds: 6 },
    { jpeg: null, seconds: 3 },
  ];
  const [shown, later] = [await temporaryDir(t), await temporaryDir(t)];
  const camera = endlessCamera(shown, framesOf(scenes(null)));
  endlessCamera(later, framesOf(scenes(bea)));
  const config = join(dir, 'faced.yaml');
  writeFileSync(
    config,
    `cameras:
  door: { source: '${camera}' }
gallery: { keepImages: true, keepUnknownHours: 24 }
doors:
  front: { lock: { driver: recorder, file: '${join(dir, 'lock')}' }, cameras: [], modes: [code], codes: [mqtt] }
access:
  groups: { family: [Ada] }
  rules: [{ name: residents, doors: [all], groups: [family], when: always }]
`,
  );
  const beaComes = () => {
    for (const name of readdirSync(later)) renameSync(join(later, name), join(shown, name));
  };
  return { web: await openWeb(t, { argv: ['--config', config] }), beaComes };
}

/** A view by its address, once its title stands. */
async function visit(page: Page, { base }: Web, view: string): Promise<void> {
  await page.goto(`${base}/#/${view}`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await until(page, "document.querySelector('.empty[role=status]') === null");
}

/** Into docs/, faces unrecognisable, when the documents are being made again. */
async function picture(page: Page, name: string): Promise<void> {
  if (process.env.FACED_UPDATE_DOCS === undefined) return;
  await page.evaluate("for (const image of document.images) image.style.filter = 'blur(28px)'");
  const client = await page.context().newCDPSession(page);
  const { data } = await client.send('Page.captureScreenshot', { format: 'webp', quality: 80 });
  writeFileSync(join(ROOT, 'docs', `${name}.webp`), Buffer.from(data, 'base64'));
  await client.detach();
}

async function painted(page: Page): Promise<string> {
  const [paint, now] = await page.evaluate<[number, number]>(
    "[performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0, performance.now()]",
  );
  return `painted after ${Math.round(paint)} ms, whole within ${Math.round(now)} ms`;
}

async function shifts(page: Page): Promise<number> {
  return page.evaluate<number>('shifts.reduce((sum, one) => sum + one, 0)');
}

/** Until a picture of this width is there. */
async function shown(page: Page, width: number): Promise<void> {
  await until(page, `[...document.images].some((image) => image.naturalWidth === ${width})`);
}

/** Until an expression holds in the page. Playwright's own way is refused by the content security policy. */
async function until(page: Page, expression: string): Promise<void> {
  await page.evaluate(`new Promise((resolve) => {
    const look = () => (${expression} ? resolve() : requestAnimationFrame(look));
    look();
  })`);
}

test('a first start to a deleted person, in a real browser', { skip: withoutBrowser() }, async (t) => {
  const { web, beaComes } = await house(t);
  const browser = await openBrowser(t);
  const { base, faced } = web;
  const { page, errors } = await openPage(t, browser, { base, viewport: DESKTOP, locale: 'en-GB' });
  // Each goes on where the one before ended, so the first that fails is the last.
  const step = async (what: string, work: () => Promise<void>) => {
    const began = performance.now();
    await work();
    t.diagnostic(`${what}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  };

  await step('first start: the account, the picture, oneself', async () => {
    await page.goto(base);
    await page.getByRole('heading', { name: 'Welcome' }).waitFor();
    t.diagnostic(`first view, with what answers loaded for it: ${await painted(page)}`);
    await page.reload();
    await page.getByRole('heading', { name: 'Welcome' }).waitFor();
    t.diagnostic(`first view, once more: ${await painted(page)}`);
    const jumped = await shifts(page);
    t.diagnostic(`first view: layout shift ${jumped.toFixed(4)}`);
    assert.ok(jumped < 0.1, `layout shift ${jumped}`);
    await assertAccessible(page, 'first start');

    await page.getByLabel('Code').fill('0000-0000');
    await page.getByLabel('Name').fill(NAME);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Make the account' }).click();
    await page.getByRole('alert').getByText('The code is wrong, or its time is over.').waitFor();
    await page.getByRole('alert').getByText('faced http code').waitFor();

    const { answer } = await faced.json('http', 'code');
    await page.goto('about:blank');
    await page.goto(`${base}/#code=${(answer as { code: string }).code}`);
    await page.getByLabel('Name').fill(NAME);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Make the account' }).click();

    await page.getByRole('heading', { name: 'First steps' }).waitFor();
    await shown(page, 640);
    await assertAccessible(page, 'first steps');
    await page.getByLabel('Name').fill('Ada');
    await somebody(page);
    await page.getByRole('button', { name: 'Begin' }).click();
    await page.locator('.advice progress').waitFor();
    await page.getByText('Ada is known now').waitFor();
  });

  await step('the live view names her', async () => {
    await visit(page, web, 'live');
    const face = page.locator('.faces li', { hasText: 'Ada' });
    await face.getByText('Known').waitFor();
    await face.getByText('Similarity').waitFor();
    await face.getByText('Liveness').waitFor();
    await until(page, "Number(document.querySelector('.facts b')?.textContent) > 0");
    await picture(page, 'page-live');
    await assertAccessible(page, 'live with a face');
  });

  await step('a stranger is named', async () => {
    await visit(page, web, 'unknown');
    // Ada may be among them from before she was known; the newest are first.
    const strangers = page.getByLabel('Who is it?');
    const before = await strangers.count();
    beaComes();
    while ((await strangers.count()) === before) {
      await page.reload();
      await visit(page, web, 'unknown');
    }
    await strangers.first().fill('Bea');
    await page.getByRole('button', { name: 'Name' }).first().click();
    await page.getByText('Bea is known now.').waitFor();
    await assertAccessible(page, 'unknown');
    await visit(page, web, 'people');
    await page.getByRole('link', { name: /Bea/ }).waitFor();
  });

  await step('why she was known', async () => {
    await visit(page, web, 'events');
    await page.getByLabel('Decision').selectOption('known');
    await page
      .getByRole('link', { name: /Ada.*Known/ })
      .first()
      .click();
    await page.getByText(/The similarity to Ada is [01]\.\d\d; 0\.\d\d was needed/).waitFor();
    await page.getByRole('img', { name: /Measured rates/ }).waitFor();
    await page
      .getByText(/pairs? of different people/)
      .first()
      .waitFor();
    await page.locator('tbody tr').first().waitFor();
    await assertAccessible(page, 'why');
    await picture(page, 'page-why');
  });

  await step('a person with samples is renamed and deleted', async () => {
    await visit(page, web, 'people');
    await assertAccessible(page, 'people');
    await page.getByRole('link', { name: /Bea/ }).click();
    await shown(page, 112);
    await assertAccessible(page, 'a person');
    const renaming = page.locator('form', { hasText: 'Another name' });
    await renaming.getByLabel('Name').fill('Béa');
    await renaming.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Béa' }).waitFor();
    await page.getByRole('button', { name: 'Delete this person' }).click();
    await assertAccessible(page, 'the question');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete this person' }).click();
    await page.getByRole('heading', { name: 'People' }).waitFor();
    await page.getByRole('link', { name: /Ada/ }).waitFor();
    assert.equal(await page.getByRole('link', { name: /Béa/ }).count(), 0);
  });

  await step('a setting is changed, a wrong one is explained, and a backup is saved', async () => {
    await visit(page, web, 'settings');
    await page.getByText('gallery', { exact: true }).click();
    await page.getByRole('spinbutton', { name: 'gallery.samplesPerPerson' }).fill('9');
    await page.getByRole('button', { name: 'Save: gallery.samplesPerPerson' }).click();
    await page.getByText('Saved.').waitFor();
    await page.getByRole('spinbutton', { name: 'gallery.samplesPerPerson' }).fill('-4');
    await page.getByRole('button', { name: 'Save: gallery.samplesPerPerson' }).click();
    await page
      .getByRole('alert')
      .getByText(/nothing was changed.*gallery\.samplesPerPerson/)
      .waitFor();
    await assertAccessible(page, 'settings, opened');
    await visit(page, web, 'backup');
    const saved = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    const file = await (await saved).path();
    assert.ok(readFileSync(file).length > 10_000);
    await page.locator('input[type=file]').setInputFiles(file);
    await page.getByRole('button', { name: 'Put it back' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Put it back' }).click();
    await page.getByText(/It is back.*People: 1, samples: \d/).waitFor();
  });

  await step('the doors, their rules, the machine', async () => {
    await visit(page, web, 'doors');
    await page.getByRole('heading', { name: 'front' }).waitFor();
    await page.getByText('Locked', { exact: true }).waitFor();
    await page.getByText('residents', { exact: true }).waitFor();
    await visit(page, web, 'health');
    await page.getByText('Find faces', { exact: true }).waitFor();
    await page.getByText('connected', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Look it over' }).click();
    await page.locator('.results li').first().waitFor();
    await assertAccessible(page, 'health, looked over');
  });

  await step('every view by keyboard, in the dark', async () => {
    await page.emulateMedia({ colorScheme: 'dark' });
    for (const view of VIEWS) {
      await visit(page, web, view);
      await assertAccessible(page, `${view}, dark`);
    }
    await page.emulateMedia({ colorScheme: 'light' });
    await page.reload();
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.keyboard.press('Shift+Tab');
    const reached: string[] = [];
    for (let step = 0; step < 40 && !reached.includes('Live'); step++) {
      reached.push(await page.evaluate<string>("document.activeElement?.textContent?.trim() ?? ''"));
      await page.keyboard.press('Shift+Tab');
    }
    assert.ok(reached.includes('Live'), reached.join(', '));
  });

  await step('a phone, in Chinese', async () => {
    const { page: phone, errors: onPhone } = await openPage(t, browser, {
      ...{ base, viewport: PHONE, locale: 'zh-CN', isMobile: true, hasTouch: true },
    });
    await phone.goto(base);
    await phone.getByLabel('名称').fill(NAME);
    await phone.getByLabel('密码').fill('not this one');
    await phone.getByRole('button', { name: '登录' }).click();
    await phone.getByText('名称或密码不对。').waitFor();
    await assertAccessible(phone, 'sign in, Chinese');
    await phone.getByLabel('密码').fill(PASSWORD);
    await phone.getByRole('button', { name: '登录' }).click();
    await phone.getByRole('heading', { name: '实时' }).waitFor();
    assert.equal(await phone.evaluate('document.documentElement.lang'), 'zh-CN');
    for (const view of VIEWS) {
      await visit(phone, web, view);
      await assertAccessible(phone, `${view}, phone`);
      const [inside, outside] = await phone.evaluate<[number, number]>(
        '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
      );
      assert.ok(inside <= outside, `${view} is ${inside} wide on ${outside}`);
    }
    await visit(phone, web, 'enrol');
    await phone.getByLabel('名字').fill('小贝');
    await phone.locator('input[type=file]').setInputFiles([
      { name: 'bea.jpg', mimeType: 'image/jpeg', buffer: await portrait('Bea') },
      { name: 'note.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('no picture') },
    ]);
    await phone.getByText('完成 2/2，采用 1').waitFor();
    await phone.getByText('此文件不是可读取的图片。').waitFor();
    await visit(phone, web, 'people');
    await phone.getByRole('link', { name: /小贝/ }).click();
    await phone.getByRole('heading', { name: '小贝' }).waitFor();
    await phone.getByRole('button', { name: '删除此人' }).click();
    await phone.getByRole('dialog').getByRole('button', { name: '删除此人' }).click();
    await phone.getByRole('heading', { name: '人员' }).waitFor();
    assert.equal(await phone.getByRole('link', { name: /小贝/ }).count(), 0);
    await visit(phone, web, 'more');
    await phone.getByRole('button', { name: 'English' }).click();
    await phone.getByRole('heading', { name: 'More' }).waitFor();
    await visit(phone, web, 'live');
    await shown(phone, 640);
    await phone.locator('.faces li', { hasText: 'Ada' }).getByText('Known').waitFor();
    await until(phone, "Number(document.querySelector('.facts b')?.textContent) > 0");
    await picture(phone, 'page-phone');
    await visit(phone, web, 'more');
    await phone.getByRole('button', { name: 'Sign out' }).click();
    await phone.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.deepEqual(onPhone, []);
  });

  assert.deepEqual(errors, []);
});

/** Until somebody is in view, as the page's own session hears of it. */
async function somebody(page: Page): Promise<void> {
  await page.evaluate(`new Promise((resolve) => {
    const source = new EventSource('/v1/cameras/door/faces');
    source.addEventListener('faces', (event) => {
      if (JSON.parse(event.data).faces.length === 0) return;
      source.close();
      resolve();
    });
  })`);
}
