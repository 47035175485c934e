// The gateway frame by frame.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Gateway, INTENTS, identified } from '../lib/gateway.mjs';
import { signUp, join, makeBot, makeChannel, install } from '../lib/world.mjs';

const TEST = { timeout: 60_000 };
const { guilds, messages, typing, directMessages, content, members } = INTENTS;

export default function gateway(world) {
  test('HELLO, a heartbeat before IDENTIFY, READY, GUILD_CREATE', TEST, async () => {
    const { bot, community, origin } = world;
    const socket = await Gateway.open(origin);
    const hello = await socket.op(10, { strict: true });
    assert.equal(hello.d.heartbeat_interval, 41_250);
    socket.send(1, null);
    await socket.op(11, { strict: true });
    socket.send(2, {
      token: bot.token,
      intents: guilds | messages,
      properties: { os: 'linux', browser: 'test', device: 'test' },
      compress: false,
      shard: [0, 1],
    });
    const ready = await socket.dispatch('READY', undefined, { strict: true });
    assert.equal(ready.s, 1);
    assert.ok(ready.text.startsWith('{"s":1,'), 's is the first field');
    assert.equal(ready.d.v, 10);
    assert.equal(ready.d.user.id, bot.id);
    assert.equal(ready.d.user.discriminator, '0');
    assert.deepEqual(ready.d.shard, [0, 1]);
    assert.equal(ready.d.application.id, bot.application);
    assert.equal(typeof ready.d.application.flags, 'number');
    assert.ok(ready.d.session_id.length > 16);
    assert.equal(ready.d.resume_gateway_url, `${origin.replace('http', 'ws')}/gateway`);
    assert.ok(ready.d.guilds.every((guild) => guild.unavailable === true));
    assert.ok(ready.d.guilds.some((guild) => guild.id === community.id));
    const created = [];
    for (const [index] of ready.d.guilds.entries()) {
      const frame = await socket.dispatch('GUILD_CREATE', undefined, { strict: true });
      assert.equal(frame.s, index + 2, 'numbers have no gap');
      created.push(frame.d);
    }
    const guild = created.find(({ id }) => id === community.id);
    assert.equal(guild.name, 'Meydan');
    assert.equal(guild.owner_id, world.ayse.id);
    assert.ok(guild.roles.some((role) => role.id === guild.id), '@everyone has the id of its community');
    assert.ok(guild.roles.every((role) => /^\d+$/.test(role.permissions)));
    const channel = guild.channels.find(({ id }) => id === community.channel.id);
    assert.deepEqual([channel.type, channel.name], [0, 'scripted']);
    assert.equal(typeof channel.position, 'number');
    assert.ok(Array.isArray(guild.threads));
    // Without the intent for members only the own one comes.
    assert.deepEqual(guild.members.map(({ user }) => user.id), [bot.id]);
    assert.ok(guild.member_count >= 3);
    assert.equal(guild.large, true, 'not all members were sent');
    socket.send(1, socket.seq);
    await socket.op(11, { strict: true });
    await socket.close();
  });

  test('a message is created, changed and deleted before the eyes of all', TEST, async () => {
    const { ayse, mehmet, community, bot, origin } = world;
    const { id } = await makeChannel(ayse, community, 'events');
    const sockets = [
      await identified(origin, bot.token, guilds | messages | content),
      await identified(origin, mehmet.token, guilds | messages | content),
    ];
    const sent = await ayse.say(id, 'merhaba', { nonce: 'abc' });
    const path = `/channels/${id}/messages/${sent.id}`;
    await ayse.patch(path, { content: 'selam' });
    await ayse.delete(path);
    for (const socket of sockets) {
      const mine = ({ channel_id: channel }) => channel === id;
      const created = await socket.dispatch('MESSAGE_CREATE', mine);
      assert.equal(created.d.id, sent.id);
      assert.equal(created.d.content, 'merhaba');
      assert.equal(created.d.nonce, 'abc');
      assert.equal(created.d.guild_id, community.id);
      assert.equal(created.d.author.id, ayse.id);
      assert.equal(created.d.author.username, ayse.username);
      assert.ok(Array.isArray(created.d.member.roles));
      assert.equal(created.d.type, 0);
      const updated = await socket.dispatch('MESSAGE_UPDATE', mine);
      assert.equal(updated.s, created.s + 1);
      assert.equal(updated.d.content, 'selam');
      assert.equal(updated.d.author.id, ayse.id, 'an update is the whole message');
      assert.ok(updated.d.edited_timestamp);
      const deleted = await socket.dispatch('MESSAGE_DELETE', mine);
      assert.equal(deleted.d.id, sent.id);
      assert.equal(deleted.d.guild_id, community.id);
      await socket.close();
    }
  });

  test('typing is seen by the others', TEST, async () => {
    const { ayse, mehmet, community, origin } = world;
    const { id } = await makeChannel(ayse, community, 'typing');
    const socket = await identified(origin, mehmet.token, guilds | messages | typing);
    await ayse.post(`/channels/${id}/typing`, undefined, 204);
    const { d } = await socket.dispatch('TYPING_START', ({ channel_id: channel }) => channel === id);
    assert.deepEqual([d.user_id, d.guild_id], [ayse.id, community.id]);
    assert.ok(Math.abs(d.timestamp - Date.now() / 1_000) < 60);
    await socket.close();
  });

  test('a direct channel opens on both sides', TEST, async () => {
    const { ayse, community, origin } = world;
    const friend = await signUp(origin, 'friend');
    await join(ayse, friend, community.channel);
    const socket = await identified(origin, friend.token, guilds | directMessages | content);
    const opened = await ayse.post('/users/@me/channels', { recipient_id: friend.id });
    assert.equal(opened.type, 1);
    assert.deepEqual(opened.recipients.map(({ id }) => id), [friend.id]);
    const sent = await ayse.say(opened.id, 'psst');
    const seen = await socket.until(
      ({ t, d }) => t === 'MESSAGE_CREATE' && d.id === sent.id,
      'the direct message',
    );
    const created = seen.filter(({ t, d }) => t === 'CHANNEL_CREATE' && d.id === opened.id);
    assert.equal(created.length, 1, 'the channel is announced once, before its first message');
    assert.equal(created[0].d.type, 1);
    assert.deepEqual(created[0].d.recipients.map(({ id }) => id), [ayse.id]);
    const message = seen.at(-1).d;
    assert.equal(message.content, 'psst');
    assert.equal(message.guild_id, undefined);
    const again = await friend.post('/users/@me/channels', { recipient_id: ayse.id });
    assert.equal(again.id, opened.id, 'two people have one direct channel');
    await socket.close();
  });

  test('an intent that was not asked for is not served', TEST, async () => {
    const { ayse, community, bot, origin } = world;
    const { id } = await makeChannel(ayse, community, 'quiet');
    const socket = await identified(origin, bot.token, guilds);
    await ayse.say(id, 'nobody listens');
    // The next channel is announced after that message: what would come has come by then.
    const mark = await makeChannel(ayse, community, 'mark');
    const seen = await socket.until(
      ({ t, d }) => t === 'CHANNEL_CREATE' && d.id === mark.id,
      'the new channel',
    );
    assert.ok(!seen.some(({ t }) => t === 'MESSAGE_CREATE'));
    await socket.close();
  });

  test('without the content intent a bot reads only what concerns it', TEST, async () => {
    const { ayse, community, bot, origin } = world;
    const { id } = await makeChannel(ayse, community, 'discreet');
    const socket = await identified(origin, bot.token, guilds | messages);
    const secret = await ayse.say(id, 'not for bots');
    const called = await ayse.say(id, `hey <@${bot.id}>`);
    const own = await bot.say(id, 'my own words');
    const contents = [];
    for (const sent of [secret, called, own]) {
      const { d } = await socket.dispatch('MESSAGE_CREATE', (message) => message.id === sent.id);
      contents.push(d.content);
    }
    assert.deepEqual(contents, ['', `hey <@${bot.id}>`, 'my own words']);
    await socket.close();
  });

  test('an intent that was not granted is refused', TEST, async () => {
    const { ayse, community, origin } = world;
    const plain = await makeBot(ayse, 'plain', 0);
    await install(ayse, plain, community);
    for (const intents of [guilds | content, guilds | members]) {
      const socket = await Gateway.open(origin);
      await socket.op(10);
      socket.send(2, { token: plain.token, intents, properties: {} });
      assert.equal(await socket.closeCode(), 4014);
    }
    const socket = await identified(origin, plain.token, guilds | messages);
    await socket.close();
  });

  test('a private channel stays hidden from those who may not view it', TEST, async () => {
    const { ayse, mehmet, community, origin } = world;
    const socket = await identified(origin, mehmet.token, guilds | messages | content);
    const hidden = await ayse.post(`/guilds/${community.id}/channels`, {
      name: 'hidden',
      type: 0,
      permission_overwrites: [{ id: community.id, type: 0, allow: '0', deny: String(1 << 10) }],
    });
    await ayse.say(hidden.id, 'behind closed doors');
    const mark = await makeChannel(ayse, community, 'open');
    const said = await ayse.say(mark.id, 'in the open');
    const seen = await socket.until(
      ({ t, d }) => t === 'MESSAGE_CREATE' && d.id === said.id,
      'the open message',
    );
    assert.ok(!seen.some(({ d }) => d.id === hidden.id || d.channel_id === hidden.id));
    await socket.close();
  });
}
