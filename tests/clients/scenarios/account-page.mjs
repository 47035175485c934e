// The account page in Chromium, with the browser's own authenticator.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { addAuthenticator, openPage, startBrowser } from '../lib/browser.mjs';
import { nextCodeOf, codeOf } from '../lib/totp.mjs';
import { signUp } from '../lib/world.mjs';

const TEST = { timeout: 90_000 };
const STEP = 15_000;

export default function accountPage(world) {
  let browser;
  /** Passkeys need a name; this computer's is `localhost`. */
  const url = () => `http://localhost:${new URL(world.origin).port}/account`;

  before(async () => {
    browser = await startBrowser();
  }, { timeout: 60_000 });
  after(async () => browser?.close(), { timeout: 30_000 });

  async function open(locale = 'en-US') {
    const opened = await openPage(browser, url(), locale);
    opened.page.setDefaultTimeout(STEP);
    await opened.page.locator('#login').waitFor();
    return opened;
  }

  async function logIn(page, person) {
    await page.fill('#identifier', person.username);
    await page.fill('#password', `long enough for ${person.username}!`);
    await page.click('#password-form button[type=submit]');
  }

  const inside = (page) => page.locator('#account').waitFor();
  const outside = (page) => page.locator('#login').waitFor();

  /** Keeps a picture where MEYDAN_SCREENSHOTS says so. */
  async function picture(page, name) {
    const folder = process.env.MEYDAN_SCREENSHOTS;
    if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  }

  test('a passkey is made on the page and logs in alone', TEST, async () => {
    const person = await signUp(world.origin, 'ada');
    const { page, context, mistakes } = await open();
    const authenticator = await addAuthenticator(context, page);
    await picture(page, 'login');
    await logIn(page, person);
    await inside(page);
    assert.equal(await page.textContent('#name'), person.username);
    await page.fill('#passkey-name', 'Laptop');
    await page.click('#passkey-form button');
    await page.locator('#passkeys li').waitFor();
    assert.match(await page.textContent('#passkeys li'), /^Laptop, never used/);
    const [credential] = await authenticator.credentials();
    assert.equal(credential.isResidentCredential, true);
    assert.equal(credential.rpId, 'localhost');
    await picture(page, 'account');

    await page.click('#logout');
    await outside(page);
    await page.click('#passkey-login');
    await inside(page);
    assert.match(await page.textContent('#passkeys li'), /^Laptop, last used/);

    // The session outlives the page, and a script cannot read what holds it.
    await page.reload();
    await inside(page);
    assert.equal(await page.evaluate(() => document.cookie), '');
    const [cookie] = await context.cookies();
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, 'Lax');
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('after the password the page asks for the passkey', TEST, async () => {
    const person = await signUp(world.origin, 'grace');
    const { page, context, mistakes } = await open();
    await addAuthenticator(context, page);
    await logIn(page, person);
    await inside(page);
    await page.fill('#passkey-name', 'Laptop');
    await page.click('#passkey-form button');
    await page.locator('#passkeys li').waitFor();
    await page.click('#logout');
    await outside(page);
    await logIn(page, person);
    await page.click('#second-passkey');
    await inside(page);
    await page.click('#passkeys button');
    await page.locator('#passkeys li').waitFor({ state: 'detached' });
    await page.click('#logout');
    await outside(page);
    await logIn(page, person);
    await inside(page);
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('an authenticator app is set up, asked for and removed', TEST, async () => {
    const person = await signUp(world.origin, 'edith');
    const { page, context, mistakes } = await open();
    await logIn(page, person);
    await inside(page);
    await page.click('#totp-begin');
    await page.locator('#totp-form').waitFor();
    const secret = await page.textContent('#totp-secret');
    assert.match(await page.getAttribute('#totp-link', 'href'), /^otpauth:\/\/totp\//);
    await picture(page, 'totp');
    await page.fill('#totp-code', codeOf(secret));
    await page.click('#totp-form button');
    await page.locator('#codes li').first().waitFor();
    const codes = await page.locator('#codes li').allTextContents();
    assert.equal(codes.length, 10);
    await picture(page, 'codes');

    await page.click('#logout');
    await outside(page);
    await logIn(page, person);
    await page.locator('#second').waitFor();
    await picture(page, 'second');
    await page.fill('#second-code', '000000');
    await page.click('#second-submit');
    await page.locator('#outcome:not(:empty)').waitFor();
    assert.equal(await page.isVisible('#second'), true);
    await page.fill('#second-code', nextCodeOf(secret));
    await page.click('#second-submit');
    await inside(page);

    await page.click('#logout-all');
    await outside(page);
    await logIn(page, person);
    await page.fill('#second-code', codes[0]);
    await page.click('#second-submit');
    await inside(page);
    assert.equal(await page.textContent('#codes-left'), '9');
    await page.click('#totp-remove');
    await page.locator('#totp-begin').waitFor();
    assert.equal(await page.textContent('#codes-left'), '0');
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('other devices are signed out from the list', TEST, async () => {
    const person = await signUp(world.origin, 'joan');
    const { page, context } = await open();
    await logIn(page, person);
    await inside(page);
    // The sign-up made a device as well.
    assert.equal(await page.locator('#devices li').count(), 2);
    await page.locator('#devices button').click();
    await page.locator('#devices button').waitFor({ state: 'detached' });
    assert.equal((await person.get('/users/@me').catch(() => null)), null);
    await context.close();
  });

  test('the page speaks Turkish and leads from an address without a name to one with', TEST, async () => {
    const { page, context, mistakes } = await open('tr-TR');
    assert.equal(await page.textContent('h1'), 'Hesabınız');
    assert.equal(await page.getAttribute('html', 'lang'), 'tr');
    await picture(page, 'turkish');
    await page.goto(url().replace('localhost', '127.0.0.1'));
    await outside(page);
    assert.equal(await page.isVisible('#passkey-login'), false);
    assert.equal(await page.getAttribute('#no-passkeys a', 'href'), url());
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('every field has a name for those who do not see it, and the keyboard reaches everything', TEST, async () => {
    const { page, context } = await open();
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('input, button, a')].filter((element) => {
        const label = element.labels?.[0]?.textContent || element.getAttribute('aria-label') || element.textContent;
        return !label.trim();
      }).length);
    assert.equal(nameless, 0);
    const reached = [];
    for (let presses = 0; presses < 3; presses += 1) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
    }
    assert.deepEqual(reached, ['password', 'Log in', 'passkey-login']);
    await context.close();
  });
}
