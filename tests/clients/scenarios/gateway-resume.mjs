// Going on after a connection was lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Gateway, INTENTS, identified } from '../lib/gateway.mjs';
import { makeChannel } from '../lib/world.mjs';

const TEST = { timeout: 60_000 };
const intents = INTENTS.guilds | INTENTS.messages | INTENTS.content;

async function resume(origin, token, session, seq) {
  const socket = await Gateway.open(origin);
  await socket.op(10);
  socket.send(6, { token, session_id: session, seq });
  return socket;
}

export default function gatewayResume(world) {
  /** An identified bot that has seen its communities. */
  async function begin(channel) {
    const { bot, ayse, origin } = world;
    const socket = await identified(origin, bot.token, intents);
    await ayse.say(channel, 'seen');
    await socket.dispatch('MESSAGE_CREATE', ({ channel_id: id }) => id === channel);
    return socket;
  }

  test('what was missed comes once, in order, and then RESUMED', TEST, async () => {
    const { ayse, bot, community, origin } = world;
    const { id } = await makeChannel(ayse, community, 'resume');
    const first = await begin(id);
    const { session_id: session } = first.ready.d;
    const { seq } = first;
    first.cut();
    for (const content of ['a', 'b', 'c']) await ayse.say(id, content);
    const second = await resume(origin, bot.token, session, seq);
    const replayed = await second.until(({ t }) => t === 'RESUMED', 'RESUMED');
    assert.deepEqual(replayed.map(({ t }) => t), [
      'MESSAGE_CREATE',
      'MESSAGE_CREATE',
      'MESSAGE_CREATE',
      'RESUMED',
    ]);
    assert.deepEqual(replayed.slice(0, 3).map(({ d }) => d.content), ['a', 'b', 'c']);
    assert.deepEqual(replayed.map(({ s }) => s), [1, 2, 3, 4].map((step) => seq + step));
    assert.equal(typeof replayed.at(-1).d, 'object');
    assert.notEqual(replayed.at(-1).d, null, 'a library writes into it');
    await ayse.say(id, 'd');
    const live = await second.dispatch('MESSAGE_CREATE', undefined, { strict: true });
    assert.equal(live.d.content, 'd');
    await second.close();
  });

  test('what was not acknowledged is sent again from where the client was', TEST, async () => {
    const { ayse, bot, community, origin } = world;
    const { id } = await makeChannel(ayse, community, 'rewind');
    const first = await begin(id);
    const { session_id: session } = first.ready.d;
    const { seq } = first;
    await ayse.say(id, 'received but forgotten');
    await first.dispatch('MESSAGE_CREATE', ({ content }) => content === 'received but forgotten');
    first.cut();
    const second = await resume(origin, bot.token, session, seq);
    const again = await second.dispatch('MESSAGE_CREATE', undefined, { strict: true });
    assert.equal(again.d.content, 'received but forgotten');
    await second.dispatch('RESUMED', undefined, { strict: true });
    await second.close();
  });

  test('a second socket takes the session over and the first one ends', TEST, async () => {
    const { ayse, bot, community, origin } = world;
    const { id } = await makeChannel(ayse, community, 'takeover');
    const first = await begin(id);
    const second = await resume(origin, bot.token, first.ready.d.session_id, first.seq);
    await second.dispatch('RESUMED');
    await first.closeCode();
    await ayse.say(id, 'to the new one');
    await second.dispatch('MESSAGE_CREATE', ({ content }) => content === 'to the new one');
    await second.close();
  });

  test('an unknown session is op 9 false, and the same socket may identify', TEST, async () => {
    const { bot, origin } = world;
    const socket = await resume(origin, bot.token, 'nobody-knows-this-session', 5);
    const invalid = await socket.op(9, { strict: true });
    assert.equal(invalid.d, false);
    socket.send(2, { token: bot.token, intents, properties: {} });
    await socket.dispatch('READY');
    await socket.close();
  });

  test('a session belongs to who made it', TEST, async () => {
    const { mehmet, ayse, community, origin } = world;
    const { id } = await makeChannel(ayse, community, 'thief');
    const first = await begin(id);
    first.cut();
    const thief = await resume(origin, mehmet.token, first.ready.d.session_id, first.seq);
    assert.equal((await thief.op(9, { strict: true })).d, false);
    thief.cut();
  });

  test('a client that says goodbye has no session any more', TEST, async () => {
    const { bot, ayse, community, origin } = world;
    const { id } = await makeChannel(ayse, community, 'goodbye');
    const first = await begin(id);
    await first.close();
    const second = await resume(origin, bot.token, first.ready.d.session_id, first.seq);
    assert.equal((await second.op(9, { strict: true })).d, false);
    second.cut();
  });

  test('a resume from before the communities came is refused', TEST, async () => {
    const { bot, ayse, community, origin } = world;
    const { id } = await makeChannel(ayse, community, 'too-early');
    const first = await begin(id);
    first.cut();
    const second = await resume(origin, bot.token, first.ready.d.session_id, 1);
    assert.equal((await second.op(9, { strict: true })).d, false);
    second.cut();
  });
}
