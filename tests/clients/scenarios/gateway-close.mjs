// Every mistake has its close code, because libraries decide by it whether to come back.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Gateway, INTENTS, identified } from '../lib/gateway.mjs';
import { Actor } from '../lib/api.mjs';
import { install, makeBot } from '../lib/world.mjs';

const TEST = { timeout: 60_000 };
const intents = INTENTS.guilds;

export default function gatewayClose(world) {
  async function fresh(query) {
    const socket = await Gateway.open(world.origin, query);
    return socket;
  }

  async function greeted() {
    const socket = await fresh();
    await socket.op(10);
    return socket;
  }

  const live = () => identified(world.origin, world.bot.token, intents);

  test('4004 for a token nobody has, in IDENTIFY and in RESUME', TEST, async () => {
    for (const token of ['nonsense', `${world.bot.token}x`, '']) {
      const socket = await greeted();
      socket.send(2, { token, intents, properties: {} });
      assert.equal(await socket.closeCode(), 4004, token);
    }
    const socket = await greeted();
    socket.send(6, { token: 'nonsense', session_id: 'x', seq: 1 });
    assert.equal(await socket.closeCode(), 4004);
  });

  test('4004 when the token is replaced, within a second', TEST, async () => {
    const { ayse, community, origin } = world;
    const bot = await makeBot(ayse, 'rotated');
    await install(ayse, bot, community);
    const socket = await identified(origin, bot.token, intents);
    const started = Date.now();
    const { token } = await ayse.post(`/applications/${bot.application}/bot/reset-token`);
    assert.equal(await socket.closeCode(), 4004);
    assert.ok(Date.now() - started < 3_000, `it took ${Date.now() - started} ms`);
    const again = await identified(origin, token, intents);
    await again.close();
    await new Actor(origin, bot.id, 'Bot', token).get('/users/@me');
  });

  test('4012 for another version', TEST, async () => {
    const socket = await fresh('v=9&encoding=json');
    assert.equal(await socket.closeCode(), 4012);
  });

  test('4003 for anything before IDENTIFY', TEST, async () => {
    const socket = await greeted();
    socket.send(8, { guild_id: world.community.id, query: '', limit: 0 });
    assert.equal(await socket.closeCode(), 4003);
  });

  test('4001 for an opcode nobody knows', TEST, async () => {
    const socket = await live();
    socket.send(99, {});
    assert.equal(await socket.closeCode(), 4001);
  });

  test('4002 for what is not JSON and for what is too long', TEST, async () => {
    const broken = await live();
    broken.socket.send('{"op":');
    assert.equal(await broken.closeCode(), 4002);
    const long = await live();
    long.socket.send(JSON.stringify({ op: 1, d: null, filler: 'x'.repeat(16 * 1_024) }));
    assert.equal(await long.closeCode(), 4002);
  });

  test('4005 for a second IDENTIFY', TEST, async () => {
    const socket = await live();
    socket.send(2, { token: world.bot.token, intents, properties: {} });
    assert.equal(await socket.closeCode(), 4005);
  });

  test('4008 for more than 120 commands in a minute; heartbeats are free', TEST, async () => {
    const socket = await live();
    const presence = { status: 'online', activities: [], since: null, afk: false };
    // IDENTIFY was the first of the 120.
    for (let sent = 1; sent < 120; sent += 1) socket.send(3, presence);
    for (let beats = 0; beats < 150; beats += 1) {
      socket.send(1, null);
      await socket.op(11);
    }
    for (let more = 0; more < 2; more += 1) socket.send(3, presence);
    assert.equal(await socket.closeCode(), 4008);
  });

  test('4007 for a sequence number that was never sent', TEST, async () => {
    const first = await live();
    first.cut();
    const { session_id: session } = first.ready.d;
    const socket = await greeted();
    socket.send(6, { token: world.bot.token, session_id: session, seq: first.seq + 1_000 });
    assert.equal(await socket.closeCode(), 4007);
  });

  test('4010 for a shard that cannot be', TEST, async () => {
    const socket = await greeted();
    socket.send(2, { token: world.bot.token, intents, properties: {}, shard: [2, 1] });
    assert.equal(await socket.closeCode(), 4010);
  });
}
