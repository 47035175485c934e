// A page of the server in Chromium, and what every page must keep to.

import assert from 'node:assert/strict';
import { join } from 'node:path';

import { openPage } from './browser.mjs';
import { until } from './wait.mjs';

const STEP = 30_000;
/** The narrowest phone these pages are made for. */
const NARROW = { width: 360, height: 740 };
const WIDE = { width: 1100, height: 800 };
/** Least contrast of text (WCAG 1.4.3), and least side of what is pressed (2.5.8). */
const CONTRAST = 4.5;
const TARGET_PX = 24;

/** Opens a page of a server as a browser in this language does. Passkeys need a name of the host. */
export async function visit(browser, server, path, locale = 'en-US') {
  const opened = await openPage(browser, `${homeOf(server)}${path}`, locale);
  opened.page.setDefaultTimeout(STEP);
  return opened;
}

/** Where the pages of a server are by this computer's name. */
export const homeOf = (server) => `http://localhost:${server.port}`;

/** The link in the newest letter to an address that leads to `path`. */
export async function linkTo(server, address, path) {
  const found = await until(async () => {
    const letter = (await letters(server, address)).find(({ text }) => text.includes(`${path}#`));
    return letter && /http\S+#\S+/.exec(letter.text)[0];
  }, `a letter to ${address} with ${path}`);
  return `${homeOf(server)}${found.slice(found.indexOf('/auth/'))}`;
}

/** Letters to an address, the newest first. */
export async function letters(server, address) {
  const all = await (await fetch(`${server.origin}/dev/outbox.json`)).json();
  return all.filter(({ to }) => to === address);
}

/** Keeps pictures of a page where MEYDAN_SCREENSHOTS says so: wide and narrow, light and dark. */
export async function picture(page, name) {
  const folder = process.env.MEYDAN_SCREENSHOTS;
  if (!folder) return;
  for (const [width, size] of Object.entries({ wide: WIDE, narrow: NARROW })) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(WIDE);
}

/** Fails on what would keep somebody out who does not see, uses a phone, or the keyboard alone. */
export async function isSound(page) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const viewport of [WIDE, NARROW]) {
      await page.setViewportSize(viewport);
      const wrong = await page.evaluate(faults, { CONTRAST, TARGET_PX });
      assert.deepEqual(wrong, [], `${page.url()} ${colorScheme} ${viewport.width} px`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(WIDE);
}

/** Runs in the page; says in words what is wrong. */
function faults({ CONTRAST, TARGET_PX }) {
  const wrong = [];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
  const told = (element) => `<${element.localName} id="${element.id}">`;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.push(`scrolls sideways: ${root.scrollWidth} of ${root.clientWidth}`);
  if (!['tr', 'en'].includes(root.lang)) wrong.push(`language ${root.lang}`);
  if (!document.title.trim()) wrong.push('no title');
  if (all('h1').length !== 1) wrong.push('not one h1');
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) wrong.push(`id ${id} stands twice`);

  for (const element of all('input, select, textarea')) {
    if (![...(element.labels || [])].some((label) => shown(label) && label.textContent.trim())) wrong.push(`no label: ${told(element)}`);
    if (element.required && element.type === 'password' && !element.autocomplete) wrong.push(`no autocomplete: ${told(element)}`);
  }
  for (const element of all('button, a[href], summary, [role=img]')) {
    if (!(element.getAttribute('aria-label') || element.textContent).trim()) wrong.push(`no name: ${told(element)}`);
  }
  for (const element of all('[aria-describedby], [aria-labelledby]')) {
    for (const name of ['aria-describedby', 'aria-labelledby']) {
      for (const id of (element.getAttribute(name) || '').split(' ').filter(Boolean)) {
        if (!document.getElementById(id)) wrong.push(`${name} of ${told(element)} leads to nothing: ${id}`);
      }
    }
  }
  for (const element of all('button, .button, input, select, summary')) {
    // The words beside a box are pressed as well.
    const target = element.closest('label') || element;
    const { width, height } = target.getBoundingClientRect();
    if (width < TARGET_PX || height < TARGET_PX) wrong.push(`too small to press: ${told(element)} ${width}×${height}`);
  }

  const rgba = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const light = ({ r, g, b }) => {
    const [R, G, B] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color.a === 1) return color;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    // What cannot be pressed now may be pale (WCAG 1.4.3).
    if (!node.data.trim() || !shown(element) || element.closest('[aria-disabled=true], [aria-busy=true], svg')) continue;
    const [one, other] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const range = document.createRange();
    range.selectNodeContents(node);
    const block = element.closest('p, li, h1, h2, h3, label, legend, button, a, summary, pre, div');
    const over = range.getBoundingClientRect().right - block.getBoundingClientRect().right;
    if (over > 1 && !element.closest('.unseen')) wrong.push(`sticks out: ${told(element)} ${node.data.trim().slice(0, 40)} ${over}`);
    if (ratio < CONTRAST) wrong.push(`too pale: ${told(element)} ${node.data.trim().slice(0, 40)} ${ratio.toFixed(2)}`);
  }
  return [...new Set(wrong)];
}

/** What the page says about a field that was filled in wrongly; the field itself must know. */
export async function complaintOf(page, field) {
  await page.locator(`${field}[aria-invalid=true]`).waitFor();
  return page.evaluate((field) => {
    const element = document.querySelector(field);
    if (document.activeElement !== element) return `the focus is elsewhere than in ${field}`;
    return document.getElementById(element.getAttribute('aria-describedby').split(' ')[0]).textContent;
  }, field);
}
