// A headless Chromium with an authenticator of its own.

import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/opt/homebrew/bin/chromium'];

/** Starts the browser: `MEYDAN_CHROMIUM`, or the one of the system. */
export async function startBrowser() {
  const executablePath = process.env.MEYDAN_CHROMIUM || PLACES.find((path) => existsSync(path));
  if (!executablePath) throw new Error('no Chromium found; install it or name it in MEYDAN_CHROMIUM');
  // Chromium's sandbox does not start for root, as in containers. Only pages of ours are opened.
  const args = process.getuid?.() === 0 ? ['--no-sandbox', '--disable-dev-shm-usage'] : [];
  return chromium.launch({ executablePath, args });
}

/** A page in a language, with what went wrong in it. */
export async function openPage(browser, url, locale) {
  const context = await browser.newContext({ locale, colorScheme: 'light' });
  // Nothing outside of this computer is asked, whatever a page wants.
  await context.route((address) => !['localhost', '127.0.0.1'].includes(address.hostname), (route) => route.abort());
  const page = await context.newPage();
  const mistakes = [];
  page.on('pageerror', (error) => mistakes.push(error.message));
  page.on('console', (message) => {
    // The browser logs refused requests by itself; those are answers, not mistakes.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) mistakes.push(message.text());
  });
  await page.goto(url);
  return { page, context, mistakes };
}

/** An authenticator in the browser's computer, whose user is there and verified. */
export async function addAuthenticator(context, page) {
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    credentials: async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
  };
}
