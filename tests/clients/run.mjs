// Stock clients against the built server. `npm test`; MEYDAN_BIN names another program.

import { after, before, describe } from 'node:test';

import { CLIENT, startProvider } from './lib/provider.mjs';
import { startProxy } from './lib/proxy.mjs';
import { startServer } from './lib/server.mjs';
import { makeWorld } from './lib/world.mjs';
import accountPage from './scenarios/account-page.mjs';
import discordJs from './scenarios/discord-js.mjs';
import dialect from './scenarios/dialect.mjs';
import gateway from './scenarios/gateway.mjs';
import gatewayClose from './scenarios/gateway-close.mjs';
import gatewayResume from './scenarios/gateway-resume.mjs';
import loginPages from './scenarios/login-pages.mjs';
import oauth from './scenarios/oauth.mjs';

/** Nothing here may hang for ever, whatever a client or the server does. */
const ALL_WITHIN = 900_000;
const watchdog = setTimeout(() => {
  console.error(`not done after ${ALL_WITHIN} ms\n${world.server?.tail() ?? ''}`);
  process.exit(1);
}, ALL_WITHIN);

/** Filled before the first scenario. */
const world = {};

describe('stock clients', { concurrency: 1 }, () => {
  before(async () => {
    world.provider = await startProvider();
    world.server = await startServer({
      MEYDAN_AUTH__OAUTH__OIDC__NAME: 'panva',
      MEYDAN_AUTH__OAUTH__OIDC__ISSUER: world.provider.issuer,
      MEYDAN_AUTH__OAUTH__OIDC__CLIENT_ID: CLIENT.id,
      MEYDAN_AUTH__OAUTH__OIDC__CLIENT_SECRET: CLIENT.secret,
      MEYDAN_OUTBOUND__ALLOW: world.provider.place,
    });
    world.callback = `${world.server.origin}/v1/auth/oauth/panva/callback`;
    world.provider.open([world.callback]);
    // The server names the address by which it was asked: whoever comes through the proxy is led
    // through it again, and it can cut what clients follow.
    world.proxy = await startProxy(world.server.port);
    Object.assign(world, await makeWorld(world.server.origin));
  }, { timeout: 150_000 });

  after(async () => {
    clearTimeout(watchdog);
    await world.proxy?.stop();
    await world.server?.stop();
    await world.provider?.stop();
  }, { timeout: 60_000 });

  describe('discord.js', () => discordJs(world));
  describe('REST dialect', () => dialect(world));
  describe('login at a provider', () => oauth(world));
  describe('plain WebSocket', () => gateway(world));
  describe('plain WebSocket: resume', () => gatewayResume(world));
  describe('plain WebSocket: close codes', () => gatewayClose(world));
  describe('login pages in Chromium', () => loginPages(world));
  describe('account page in Chromium', () => accountPage(world));
});
