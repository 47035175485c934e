// The account page in Chromium: everything a person can do to their own account, with the browser's
// own authenticator.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import jsQR from 'jsqr';

import { addAuthenticator, startBrowser } from '../lib/browser.mjs';
import { ageLogins } from '../lib/database.mjs';
import { complaintOf, homeOf, isSound, letters, picture, visit } from '../lib/page.mjs';
import { codeOf, nextCodeOf } from '../lib/totp.mjs';
import { until } from '../lib/wait.mjs';
import { signUp } from '../lib/world.mjs';

const TEST = { timeout: 180_000 };
/** The code of development mode. */
const CODE = '123456';

export default function accountPage(world) {
  let browser;

  before(async () => {
    browser = await startBrowser();
  }, { timeout: 60_000 });
  after(async () => browser?.close(), { timeout: 30_000 });

  const passwordOf = (person) => `long enough for ${person.username}!`;
  const arrive = (page, where) => page.waitForURL(`**${where}`);
  const said = (page, section, words) => page.locator(`${section} p.said`, { hasText: words }).first().waitFor();

  async function logIn(page, person, password = passwordOf(person)) {
    await page.fill('#identifier', person.username);
    await page.fill('#password', password);
    await page.click('#password-form button');
    await page.locator('#account').waitFor();
  }

  async function enter(name, locale) {
    const person = await signUp(world.origin, name);
    const opened = await visit(browser, world.server, '/account', locale);
    await arrive(opened.page, '/auth/login');
    await logIn(opened.page, person);
    return { ...opened, person };
  }

  /** The account page of a login that was ten minutes ago. */
  async function enterLate(name, prepare = async () => {}) {
    const person = await signUp(world.origin, name);
    await prepare(person);
    const opened = await visit(browser, world.server, '/auth/link');
    const answer = await opened.context.request.post(`${homeOf(world.server)}/v1/auth/login`, {
      headers: { 'sec-fetch-site': 'same-origin' },
      data: { identifier: person.username, password: passwordOf(person), session: 'cookie' },
    });
    assert.equal(answer.status(), 200);
    ageLogins(world.server, person.username);
    await opened.page.goto(`${homeOf(world.server)}/account`);
    await opened.page.locator('#account').waitFor();
    return { ...opened, person };
  }

  async function done({ context, mistakes }) {
    assert.deepEqual(mistakes, []);
    await context.close();
  }

  test('the page is sound in both languages, with everything on it', TEST, async () => {
    for (const locale of ['en-US', 'tr-TR']) {
      const opened = await enter('sound', locale);
      const { page } = opened;
      await isSound(page);
      await page.click('#totp-begin');
      await page.locator('#totp-form').waitFor();
      await isSound(page);
      await picture(page, `account-${locale.slice(0, 2)}`);
      assert.equal(await page.textContent('h1'), locale === 'tr-TR' ? 'Hesabınız' : 'Your account');
      // The session outlives the page, and a script cannot read what holds it.
      await page.reload();
      await page.locator('#account').waitFor();
      assert.equal(await page.evaluate(() => document.cookie), '');
      const [cookie] = await opened.context.cookies();
      assert.equal(cookie.httpOnly, true);
      assert.equal(cookie.sameSite, 'Lax');
      await done(opened);
    }
  });

  test('an old login is proved again by password, and what was begun goes on', TEST, async () => {
    const opened = await enterLate('ayla');
    const { page, context, person } = opened;
    const [before] = await context.cookies();
    await page.fill('#key-name', 'nightly');
    await page.check('#scope-0');
    await page.click('#key-form button[type=submit]');
    await page.locator('dialog').waitFor();
    await picture(page, 'step-up');
    await isSound(page);
    await page.fill('#proof-password', 'not it');
    await page.click('dialog button[type=submit]');
    assert.match(await complaintOf(page, '#proof-password'), /not your password/);
    await page.fill('#proof-password', passwordOf(person));
    await page.keyboard.press('Enter');
    await page.locator('#key-made').waitFor();
    assert.match(await page.textContent('#key-text'), /^myd_sk_/);
    assert.match(await page.textContent('#keys-list'), /nightly/);
    await picture(page, 'key-made');

    // The cookie of before is worth nothing any more, at once.
    const [now] = await context.cookies();
    assert.notEqual(now.value, before.value);
    const old = () => fetch(`${world.server.origin}/v1/users/@me`, { headers: { cookie: `${before.name}=${before.value}` } });
    await until(async () => (await old()).status === 401, 'the old cookie to be refused', 2_000);

    await page.click('#keys-list button');
    await said(page, '#keys', 'Taken back.');
    await done(opened);
  });

  test('a proof that is not given leaves everything as it was', TEST, async () => {
    const opened = await enterLate('azra');
    const { page } = opened;
    await page.fill('#new_password', 'another long sentence 9');
    await page.click('#password-form button[type=submit]');
    await page.locator('dialog').waitFor();
    await page.click('dialog button.plain');
    await page.locator('dialog').waitFor({ state: 'detached' });
    assert.equal(await page.inputValue('#new_password'), 'another long sentence 9', 'what was typed stays');
    assert.equal(await page.evaluate(() => document.activeElement.closest('form')?.id), 'password-form');
    await done(opened);
  });

  test('an old login is proved again by a code that is sent', TEST, async () => {
    const opened = await enterLate('aysu');
    const { page, person } = opened;
    await page.click('#export');
    await page.locator('dialog').waitFor();
    await page.getByLabel(`A code to ${person.username}@example.com`).check();
    await page.click('dialog button[type=submit]');
    await page.locator('dialog input[name=code]').waitFor();
    await isSound(page);
    await page.fill('dialog input[name=code]', '000000');
    await page.click('dialog button[type=submit]');
    await page.locator('dialog input[aria-invalid=true]').waitFor();
    await page.fill('dialog input[name=code]', CODE);
    await page.click('dialog button[type=submit]');
    await said(page, '#exports', 'being made');
    assert.match((await letters(world.server, `${person.username}@example.com`))[0].subject, /123456/);
    await done(opened);
  });

  test('an old login is proved again by a passkey', TEST, async () => {
    const opened = await enter('asya');
    const { page, context, person } = opened;
    const authenticator = await addAuthenticator(context, page);
    await page.fill('#passkey-name', 'Laptop');
    await page.click('#passkey-form button');
    await page.locator('#passkeys-list li').waitFor();
    assert.match(await page.textContent('#passkeys-list li'), /^Laptop.*never used/);
    const [credential] = await authenticator.credentials();
    assert.equal(credential.isResidentCredential, true);

    await page.click('#logout');
    await arrive(page, '/auth/login');
    await page.click('#passkey');
    await page.locator('#account').waitFor();
    // The node knows this login for a minute; the next one is old from its first use on.
    await page.click('#logout');
    await arrive(page, '/auth/login');
    await page.route('**/account', async (route) => {
      ageLogins(world.server, person.username);
      await route.continue();
    });
    await page.click('#passkey');
    await page.locator('#account').waitFor();
    await page.unroute('**/account');
    await page.click('#passkeys-list button');
    await page.locator('dialog').waitFor();
    await page.getByLabel('Passkey', { exact: true }).check();
    await page.click('dialog button[type=submit]');
    await page.locator('#passkeys-list li').waitFor({ state: 'detached' });
    await said(page, '#passkeys', 'Removed.');
    await done(opened);
  });

  test('a second factor that was set up elsewhere is asked for before it is changed', TEST, async () => {
    const opened = await enter('ada');
    const { page, person } = opened;
    const begun = await person.expect(201, 'POST', '/v1/users/@me/totp');
    await person.expect(200, 'PUT', '/v1/users/@me/totp', { code: codeOf(begun.secret) });
    await page.reload();
    await page.click('#totp-remove');
    await page.locator('dialog').waitFor();
    // The password is no proof of it.
    assert.equal(await page.getByLabel('Password', { exact: true }).count(), 0);
    await page.fill('#proof-code', nextCodeOf(begun.secret));
    await page.click('dialog button[type=submit]');
    await page.locator('#totp-begin').waitFor();
    await done(opened);
  });

  test('an authenticator app is set up from the picture, and removed', TEST, async () => {
    const opened = await enter('edith');
    const { page } = opened;
    await page.click('#totp-begin');
    await page.locator('#totp-picture svg').waitFor();
    const link = await page.getAttribute('#totp-link', 'href');
    assert.equal(await scanned(page), link);
    const secret = new URL(link).searchParams.get('secret');
    assert.equal((await page.textContent('#totp-secret')).replaceAll(' ', ''), secret);
    await page.fill('#totp-code', '000000');
    await page.click('#totp-form button');
    assert.match(await complaintOf(page, '#totp-code'), /does not fit/);
    await page.fill('#totp-code', codeOf(secret));
    await page.click('#totp-form button');
    await page.locator('#codes li').first().waitFor();
    assert.equal(await page.locator('#codes li').count(), 10);
    await picture(page, 'codes');
    await page.click('#codes-renew');
    await page.locator('#codes li').first().waitFor();
    await page.click('#totp-remove');
    await page.locator('#totp-begin').waitFor();
    assert.equal(await page.isVisible('#recovery'), false);
    await done(opened);
  });

  test('a device that is logged out elsewhere is told so', TEST, async () => {
    const opened = await enter('joan');
    const { page, person } = opened;
    const other = await visit(browser, world.server, '/auth/login');
    await logIn(other.page, person);
    await page.reload();
    await page.locator('#devices-list li').nth(2).waitFor();
    // One is that of the sign-up.
    assert.equal(await page.locator('#devices-list li').count(), 3);
    assert.equal(await page.locator('#devices-list button').count(), 2);
    await page.click('#devices-end');
    await said(page, '#devices', 'Logged out there.');
    assert.equal(await page.locator('#devices-list li').count(), 1);
    // The other window notices with the next thing somebody does in it.
    await other.page.fill('#about', 'still here?');
    await other.page.click('#profile-form button');
    await arrive(other.page, '/auth/login');
    assert.match(await other.page.textContent('.said'), /ended/);
    assert.deepEqual(other.mistakes, []);
    await other.context.close();
    await done(opened);
  });

  test('name, addresses and password are changed', TEST, async () => {
    const opened = await enter('mary');
    const { page, person } = opened;
    await page.fill('#username', 'No!');
    await page.click('#profile-form button');
    assert.match(await complaintOf(page, '#username'), /small letters/);
    const name = `${person.username}x`;
    await page.fill('#username', name);
    await page.fill('#about', 'Şiir ve eski arabalar');
    await page.selectOption('#locale', 'tr');
    await page.click('#profile-form button');
    await said(page, '#profile', 'Saved.');
    assert.equal(await page.textContent('#name'), name);

    const address = `${name}@new.example.com`;
    await page.fill('#new-email', address);
    await page.click('#email-form button[type=submit]');
    await page.fill('#email-form input[name=code]', CODE);
    await page.click('#email-form button[type=submit]');
    await said(page, '#contacts', 'Saved.');
    assert.equal(await page.textContent('#email'), address);
    await page.fill('#new-phone', '+905321000003');
    await page.click('#phone-form button[type=submit]');
    await page.fill('#phone-form input[name=code]', CODE);
    await page.click('#phone-form button[type=submit]');
    await until(async () => await page.textContent('#phone') === '+905321000003', 'the number to be there');

    await page.fill('#new_password', 'mary');
    await page.click('#password-form button[type=submit]');
    assert.match(await complaintOf(page, '#new_password'), /At least 8/);
    await page.fill('#new_password', 'yeşil bisiklet inişi 8');
    await page.click('#password-form button[type=submit]');
    await said(page, '#password', 'Saved.');
    await page.click('#logout');
    await arrive(page, '/auth/login');
    await logIn(page, { username: name }, 'yeşil bisiklet inişi 8');
    await done(opened);
  });

  test('privacy switches act at once', TEST, async () => {
    const opened = await enter('rosa');
    const { page, person } = opened;
    await page.selectOption('#switch-last_seen', 'everyone');
    await said(page, '#privacy', 'Everyone');
    const switches = await person.expect(200, 'GET', '/v1/users/@me/privacy');
    assert.equal(switches.last_seen, 'everyone');
    await page.reload();
    await page.locator('#switch-last_seen').waitFor();
    assert.equal(await page.inputValue('#switch-last_seen'), 'everyone');
    await done(opened);
  });

  test('a copy of everything is made and fetched', TEST, async () => {
    const opened = await enter('lise');
    const { page } = opened;
    await page.click('#export');
    await said(page, '#exports', 'being made');
    const link = page.locator('#exports-list a');
    await link.waitFor({ timeout: 40_000 });
    await picture(page, 'export');
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    const zip = readFileSync(await download.path());
    assert.equal(zip.subarray(0, 2).toString(), 'PK');
    await done(opened);
  });

  test('an account is erased, and its owner thinks again', TEST, async () => {
    const opened = await enter('emmy');
    const { page, person } = opened;
    await page.fill('#confirm', 'somebody else');
    await page.click('#erasure-form button');
    assert.match(await complaintOf(page, '#confirm'), /not your user name/);
    await page.fill('#confirm', person.username);
    await page.click('#erasure-form button');
    await page.locator('#leaving').waitFor();
    assert.match(await page.textContent('#leaving-when'), /is erased on/);
    assert.equal(await page.isVisible('#erasure'), false);
    await picture(page, 'leaving');
    await isSound(page);
    await page.click('#logout');
    await arrive(page, '/auth/login');
    await logIn(page, person);
    await page.click('#stay');
    await said(page, '#me', 'Your account stays.');
    assert.equal(await page.isVisible('#leaving'), false);
    await done(opened);
  });

  test('logging out everywhere ends every login', TEST, async () => {
    const opened = await enter('hedy');
    const { page, person } = opened;
    await page.click('#logout-all');
    await arrive(page, '/auth/login');
    await until(async () => (await person.get('/users/@me').catch(() => null)) === null, 'the token to be void');
    await done(opened);
  });

  test('without a name of the host there are no passkeys, and the page says where they are', TEST, async () => {
    const person = await signUp(world.origin, 'vera');
    const opened = await visit(browser, world.server, '/auth/login');
    await opened.page.goto(`${world.server.origin}/auth/login`);
    await opened.page.locator('#named-page').waitFor();
    assert.equal(await opened.page.isVisible('#passkey'), false);
    assert.equal(await opened.page.getAttribute('#named-page a', 'href'), `${homeOf(world.server)}/auth/login`);
    await logIn(opened.page, person);
    assert.equal(await opened.page.getAttribute('#no-passkeys a', 'href'), `${homeOf(world.server)}/account`);
    await done(opened);
  });

  /** What a camera reads from the picture on the page. */
  async function scanned(page) {
    const shot = await page.locator('#totp-picture svg').screenshot();
    // A page of nobody, whose policy lets pixels be looked at.
    const blank = await page.context().newPage();
    const { pixels, width, height } = await blank.evaluate(async (png) => {
      const image = new Image();
      image.src = `data:image/png;base64,${png}`;
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      return { pixels: [...context.getImageData(0, 0, image.width, image.height).data], width: image.width, height: image.height };
    }, shot.toString('base64'));
    await blank.close();
    return jsQR(Uint8ClampedArray.from(pixels), width, height)?.data;
  }
}
