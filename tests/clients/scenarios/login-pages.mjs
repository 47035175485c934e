// The pages for logging in and signing up, in Chromium, on a server that proves addresses: what a
// person without an app does, from the first letter to the account.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { addAuthenticator, openPage, startBrowser } from '../lib/browser.mjs';
import { restNumbers } from '../lib/database.mjs';
import { complaintOf, homeOf, isSound, letters, linkTo, picture, visit } from '../lib/page.mjs';
import { CLIENT } from '../lib/provider.mjs';
import { startServer } from '../lib/server.mjs';
import { codeOf, nextCodeOf } from '../lib/totp.mjs';
import { until } from '../lib/wait.mjs';

const TEST = { timeout: 180_000 };
const PASSWORD = 'kırmızı bisiklet yokuşu 7';
/** The code of development mode. */
const CODE = '123456';

export default function loginPages(world) {
  let browser;
  let server;
  let people = 0;

  before(async () => {
    [browser, server] = await Promise.all([startBrowser(), startServer({
      MEYDAN_AUTH__EMAIL_VERIFICATION: 'required',
      MEYDAN_AUTH__OTP__ADDRESS_PER_HOUR: '1000',
      MEYDAN_AUTH__OAUTH__OIDC__NAME: 'village',
      MEYDAN_AUTH__OAUTH__OIDC__ISSUER: world.provider.issuer,
      MEYDAN_AUTH__OAUTH__OIDC__CLIENT_ID: CLIENT.id,
      MEYDAN_AUTH__OAUTH__OIDC__CLIENT_SECRET: CLIENT.secret,
      MEYDAN_OUTBOUND__ALLOW: world.provider.place,
    })]);
    world.provider.open([`${server.origin}/v1/auth/oauth/village/callback`, world.callback]);
  }, { timeout: 150_000 });
  after(async () => {
    await browser?.close();
    await server?.stop();
  }, { timeout: 60_000 });

  const somebody = () => {
    people += 1;
    const username = `kisi${people}`;
    return { username, email: `${username}@example.com`, display_name: `Kişi ${people}` };
  };
  const path = (page) => new URL(page.url()).pathname;
  const arrive = (page, where) => page.waitForURL(`**${where}`);
  const inside = async (page) => {
    await arrive(page, '/account');
    await page.locator('#account').waitFor();
  };

  async function fillIn(page, person) {
    await page.fill('#display_name', person.display_name);
    await page.fill('#username', person.username);
    await page.fill('#email', person.email);
    await page.fill('#password', person.password ?? PASSWORD);
    await page.click('button[type=submit]');
  }

  /** Signs somebody up and gives the page of their account. */
  async function join() {
    const person = somebody();
    const opened = await visit(browser, server, '/auth/register');
    await opened.page.locator('#form').waitFor();
    await fillIn(opened.page, person);
    await opened.page.locator('#sent:not(:empty)').waitFor();
    await opened.page.goto(await linkTo(server, person.email, '/auth/confirm'));
    await opened.page.click('button[type=submit]');
    await inside(opened.page);
    return { ...opened, person };
  }

  async function logOut(page) {
    await page.click('#logout');
    await arrive(page, '/auth/login');
  }

  async function logIn(page, person, password = PASSWORD) {
    await page.fill('#identifier', person.username);
    await page.fill('#password', password);
    await page.click('#password-form button');
  }

  test('every page is sound in both languages', TEST, async () => {
    const paths = ['/', '/setup', '/setup#x', ...['login', 'code', 'link', 'forgot', 'register', 'confirm', 'magic', 'reset'].map((name) => `/auth/${name}`),
      '/auth/confirm#x', '/auth/magic#x', '/auth/reset#x'];
    for (const locale of ['en-US', 'tr-TR']) {
      const { page, context, mistakes } = await visit(browser, server, '/', locale);
      for (const where of paths) {
        await page.goto('about:blank');
        await page.goto(`${homeOf(server)}${where}`, { waitUntil: 'networkidle' });
        assert.equal(await page.getAttribute('html', 'lang'), locale.slice(0, 2));
        await isSound(page);
        await picture(page, `page${where.replaceAll(/[/#]/g, '-')}-${locale.slice(0, 2)}`);
      }
      assert.deepEqual(mistakes, []);
      await context.close();
    }
  });

  test('somebody signs up, gets a letter and makes the account by it', TEST, async () => {
    const person = somebody();
    const { page, context, mistakes } = await visit(browser, server, '/auth/register');
    await page.locator('#form').waitFor();
    await fillIn(page, person);
    await page.locator('#sent:not(:empty)').waitFor();
    assert.match(await page.textContent('#sent'), new RegExp(person.email));
    await picture(page, 'register-sent');
    await isSound(page);
    const link = await linkTo(server, person.email, '/auth/confirm');

    // Whoever only looks at the link, as programs do that look for viruses, changes nothing.
    for (const method of ['GET', 'HEAD']) {
      const answer = await fetch(link, { method });
      assert.equal(answer.status, 200);
      assert.equal((await answer.text()).includes(link.split('#')[1]), false);
    }
    await page.goto(link);
    await page.click('button[type=submit]');
    await inside(page);
    assert.equal(await page.textContent('#name'), person.username);
    assert.equal(await page.textContent('#email'), person.email);
    assert.equal(await page.textContent('#email-state'), '');

    // It is good once.
    await page.goto('about:blank');
    await page.goto(link);
    await page.click('button[type=submit]');
    await page.locator('#over:not(:empty)').waitFor();
    assert.match(await page.textContent('#over'), /used before/);
    await picture(page, 'link-used');
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('what was filled in wrongly is said beside the field', TEST, async () => {
    const taken = await join();
    const { page, context, mistakes } = await visit(browser, server, '/auth/register');
    await page.locator('#form').waitFor();
    const good = somebody();
    for (const [field, value, said] of [
      ['#username', 'Ayşe K', /small letters/],
      ['#username', taken.person.username, /taken/],
      ['#email', 'ayse@example', /e-mail address/],
      ['#password', 'short', /At least 8/],
      ['#password', 'password1', /easy to guess/],
    ]) {
      await fillIn(page, { ...good, [field.slice(1)]: value });
      await until(async () => said.test(await complaintOf(page, field)), `${said} beside ${field}`);
    }
    await picture(page, 'register-wrong');
    await isSound(page);
    assert.deepEqual(await letters(server, good.email), []);

    // A taken address is not told to strangers but to its owner.
    await fillIn(page, { ...good, email: taken.person.email });
    await page.locator('#sent:not(:empty)').waitFor();
    await until(async () => (await letters(server, taken.person.email)).some(({ text }) => /has an account/.test(text)), 'a letter to the owner');
    assert.deepEqual(mistakes, []);
    await Promise.all([context.close(), taken.context.close()]);
  });

  test('a link in a letter logs in, once', TEST, async () => {
    const { page, context, mistakes, person } = await join();
    await logOut(page);
    assert.match(await page.textContent('.said'), /Logged out/);
    await page.click('#link');
    await arrive(page, '/auth/link');
    await page.fill('#email', person.email);
    await page.click('button[type=submit]');
    await page.locator('.said:not(:empty)').waitFor();
    await picture(page, 'magic-sent');
    const link = await linkTo(server, person.email, '/auth/magic');
    assert.equal((await fetch(link)).status, 200);
    await page.goto(link);
    await isSound(page);
    await page.click('button[type=submit]');
    await inside(page);
    assert.equal(await page.textContent('#name'), person.username);
    await logOut(page);
    await page.goto('about:blank');
    await page.goto(link);
    await page.click('button[type=submit]');
    await page.locator('#over:not(:empty)').waitFor();
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('a forgotten password is replaced, and every login ends', TEST, async () => {
    const { page, context, mistakes, person } = await join();
    const other = await visit(browser, server, '/auth/login');
    await other.page.locator('#forgot').waitFor();
    await other.page.click('#forgot a');
    await arrive(other.page, '/auth/forgot');
    await other.page.fill('#identifier', person.username);
    await other.page.click('button[type=submit]');
    await other.page.locator('.said:not(:empty)').waitFor();
    await other.page.goto(await linkTo(server, person.email, '/auth/reset'));
    await other.page.fill('#new_password', '12345678');
    await other.page.click('button[type=submit]');
    assert.match(await complaintOf(other.page, '#new_password'), /easy to guess/);
    const password = 'yeşil bisiklet inişi 8';
    await other.page.fill('#new_password', password);
    await other.page.click('button[type=submit]');
    await arrive(other.page, '/auth/login');
    assert.match(await other.page.textContent('.said'), /new password is saved/);
    await logIn(other.page, person);
    await until(async () => /No account fits/.test(await complaintOf(other.page, '#password')), 'the old password to be refused');
    await logIn(other.page, person, password);
    await inside(other.page);

    // The first window notices when somebody looks at it.
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await arrive(page, '/auth/login');
    assert.match(await page.textContent('.said'), /ended/);
    assert.deepEqual([...mistakes, ...other.mistakes], []);
    await Promise.all([context.close(), other.context.close()]);
  });

  test('a code by text makes an account, and a PIN guards it from then on', TEST, async () => {
    const { page, context, mistakes } = await visit(browser, server, '/auth/login');
    await page.locator('#code').click();
    await arrive(page, '/auth/code');
    await page.fill('#to', '0');
    await page.click('button[type=submit]');
    assert.match(await complaintOf(page, '#to'), /telephone number/);
    const number = '+905321000001';
    await page.fill('#to', number);
    await page.click('button[type=submit]');
    const code = page.locator('input[name=code]');
    await code.waitFor();
    assert.match(await page.textContent('form'), /Send again in \d+ s/);
    await picture(page, 'code-sent');
    await isSound(page);
    await code.fill('000000');
    await page.click('button[type=submit]');
    assert.match(await complaintOf(page, 'input[name=code]'), /not valid/);
    await code.fill(CODE);
    await page.click('button[type=submit]');
    await inside(page);
    assert.equal(await page.textContent('#phone'), number);

    await page.fill('#pin', '123456');
    await page.click('#lock-form button[type=submit]');
    assert.match(await complaintOf(page, '#pin'), /too easy/);
    await page.fill('#pin', '836194');
    await page.click('#lock-form button[type=submit]');
    await page.locator('#lock-remove').waitFor();
    await logOut(page);
    await page.locator('#code').click();
    await arrive(page, '/auth/code');
    await page.fill('#to', number);
    // A number is sent a code once a minute; the first was a moment ago.
    await page.click('button[type=submit]');
    await page.locator('.error:not(:empty)').waitFor();
    assert.match(await page.textContent('.error:not(:empty)'), /Try again in \d+ seconds/);
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('a PIN is asked for after the code', TEST, async () => {
    const { page, context, mistakes, person } = await join();
    // A number gets an account's PIN the same way whether it came first or later.
    const number = '+905321000002';
    await page.fill('#new-phone', number);
    await page.click('#phone-form button[type=submit]');
    await page.locator('#phone-form input[name=code]').fill(CODE);
    await page.click('#phone-form button[type=submit]');
    await until(async () => await page.textContent('#phone') === number, 'the number to be there');
    await page.fill('#pin', '836194');
    await page.click('#lock-form button[type=submit]');
    await page.locator('#lock-remove').waitFor();
    await logOut(page);
    restNumbers(server);
    await page.goto(`${homeOf(server)}/auth/code`);
    await page.fill('#to', number);
    await page.click('button[type=submit]');
    await page.locator('input[name=code]').fill(CODE);
    await page.click('button[type=submit]');
    const dialog = page.locator('dialog');
    await dialog.waitFor();
    assert.match(await dialog.textContent(), /PIN guards this number/);
    await picture(page, 'pin');
    await isSound(page);
    await dialog.locator('input[name=code]').fill('111222');
    await dialog.locator('button[type=submit]').click();
    assert.match(await complaintOf(page, '#proof-code'), /wrong/);
    await dialog.locator('input[name=code]').fill('836194');
    await dialog.locator('button[type=submit]').click();
    await inside(page);
    assert.equal(await page.textContent('#name'), person.username);
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('after the password a second factor is asked for: app, recovery code or passkey', TEST, async () => {
    const { page, context, mistakes, person } = await join();
    await addAuthenticator(context, page);
    await page.click('#totp-begin');
    await page.locator('#totp-form').waitFor();
    const secret = await page.textContent('#totp-secret');
    await page.fill('#totp-code', codeOf(secret));
    await page.click('#totp-form button');
    await page.locator('#codes li').first().waitFor();
    const codes = await page.locator('#codes li').allTextContents();
    await page.fill('#passkey-name', 'Laptop');
    await page.click('#passkey-form button');
    await page.locator('#passkeys-list li', { hasText: 'Laptop' }).waitFor();

    const ask = async () => {
      await logOut(page);
      await logIn(page, person);
      await page.locator('dialog').waitFor();
    };
    const choose = (label) => page.getByLabel(label, { exact: true }).check();
    await ask();
    await picture(page, 'second-factor');
    await isSound(page);
    await page.fill('#proof-code', '000000');
    await page.click('dialog button[type=submit]');
    assert.match(await complaintOf(page, '#proof-code'), /wrong/);
    await page.fill('#proof-code', nextCodeOf(secret));
    await page.keyboard.press('Enter');
    await inside(page);

    await ask();
    await choose('Recovery code');
    await page.fill('#proof-code', codes[0]);
    await page.click('dialog button[type=submit]');
    await inside(page);
    assert.equal(await page.textContent('#codes-left'), '9');

    await ask();
    await choose('Passkey');
    await page.click('dialog button[type=submit]');
    await inside(page);

    // Escape leaves the dialog, and nobody is logged in.
    await ask();
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.reload();
    assert.equal(path(page), '/auth/login');
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('a passkey logs in alone', TEST, async () => {
    const { page, context, mistakes, person } = await join();
    const authenticator = await addAuthenticator(context, page);
    await page.fill('#passkey-name', 'Laptop');
    await page.click('#passkey-form button');
    await page.locator('#passkeys-list li').waitFor();
    assert.equal((await authenticator.credentials())[0].rpId, 'localhost');
    await logOut(page);
    await page.click('#passkey');
    await inside(page);
    assert.equal(await page.textContent('#name'), person.username);
    assert.deepEqual(mistakes, []);
    await context.close();
  });

  test('a provider logs in, and an address it shares with an account is only told', TEST, async () => {
    // Providers lead back to the public address, so the login begins there, too.
    const begin = () => openPage(browser, `${server.origin}/auth/login`, 'en-US');
    const { page, context, mistakes } = await begin();
    const atProvider = async (who) => {
      await page.fill('input[name=login]', who);
      await page.fill('input[name=password]', 'any');
      await page.click('button[type=submit]');
      await page.click('button[type=submit]');
    };
    await page.getByRole('button', { name: 'Continue with village' }).click();
    await atProvider('zeynep');
    await inside(page);
    assert.equal(await page.textContent('#email'), 'zeynep@idp.example');
    assert.match(await page.textContent('#providers-list'), /village/);
    await context.close();

    const refused = await begin();
    await refused.page.getByRole('button', { name: 'Continue with village' }).click();
    await refused.page.click('a');
    await arrive(refused.page, '/auth/login');
    await refused.page.locator('.error:not(:empty)').waitFor();
    assert.match(await refused.page.textContent('.error:not(:empty)'), /did not confirm/);
    assert.equal(new URL(refused.page.url()).hash, '');
    assert.deepEqual([...mistakes, ...refused.mistakes], []);
    await refused.context.close();
  });

  test('the keyboard alone logs in', TEST, async () => {
    const { page, context, person } = await join();
    await logOut(page);
    await page.locator('#others').waitFor();
    await page.keyboard.press('Tab');
    const reached = [];
    for (let presses = 0; presses < 8; presses += 1) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
    }
    assert.deepEqual(reached.slice(0, 3), ['identifier', 'password', 'Log in']);
    assert.ok(reached.includes('passkey') && reached.includes('code') && reached.includes('link'), reached.join());
    await page.focus('#identifier');
    await page.keyboard.type(person.username);
    await page.keyboard.press('Tab');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await inside(page);
    await context.close();
  });
}
