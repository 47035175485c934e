// discord.js as published: one option leads it here, nothing else is changed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Client, DiscordAPIError, Events, GatewayIntentBits } from 'discord.js';

import { event, until, within } from '../lib/wait.mjs';
import { install, makeChannel, makeCommunity } from '../lib/world.mjs';

const TEST = { timeout: 60_000 };
/** A PNG of one pixel. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

export default function discordJs(world) {
  let client;
  /** Names of all dispatches, as they came. */
  const dispatches = [];
  const warnings = [];
  const count = (name) => dispatches.filter((known) => known === name).length;

  before(async () => {
    client = new Client({
      rest: { api: `${world.proxy.origin}/api` },
      intents: [
        GatewayIntentBits.Guilds,
        GatewayIntentBits.GuildMessages,
        GatewayIntentBits.MessageContent,
      ],
    });
    client.on('raw', (packet) => packet.t && dispatches.push(packet.t));
    client.on(Events.Error, (error) => warnings.push(`error: ${error.message}`));
    client.on(Events.Warn, (text) => warnings.push(`warning: ${text}`));
    client.on(Events.Invalidated, () => warnings.push('the session was invalidated'));
    const ready = event(client, Events.ClientReady, () => true, 30_000);
    await within(client.login(world.bot.token), 'login', 30_000);
    await ready;
    client.on(Events.MessageCreate, async (message) => {
      if (message.content === '!ping') await message.reply('pong');
    });
  }, { timeout: 60_000 });

  after(async () => {
    if (client) await within(client.destroy(), 'the client to be destroyed');
  });

  test('is ready with its community, channels and itself', TEST, () => {
    assert.equal(client.user.id, world.bot.id);
    assert.equal(client.user.bot, true);
    assert.equal(client.application.id, world.bot.application);
    const guild = client.guilds.cache.get(world.community.id);
    assert.equal(guild.name, 'Meydan');
    assert.equal(guild.available, true);
    assert.equal(guild.ownerId, world.ayse.id);
    assert.equal(guild.channels.cache.get(world.community.channel.id).name, 'scripted');
    assert.equal(guild.roles.everyone.id, guild.id);
    assert.equal(guild.members.me.id, client.user.id);
    assert.ok(Math.abs(client.readyTimestamp - Date.now()) < 60_000);
    assert.ok(Math.abs(guild.createdTimestamp - Date.now()) < 300_000, 'ids tell the time');
    assert.equal(count('READY'), 1);
  });

  test('is told when it is added to a community', TEST, async () => {
    const second = await makeCommunity(world.ayse, 'Second');
    const added = event(client, Events.GuildCreate, (guild) => guild.id === second.id);
    await install(world.ayse, world.bot, second);
    const guild = await added;
    assert.equal(guild.name, 'Second');
    assert.ok(guild.channels.cache.has(second.channel.id));
  });

  test('answers !ping with a reply', TEST, async () => {
    const { mehmet, community } = world;
    const answered = event(client, Events.MessageCreate, (message) => message.content === 'pong');
    const ping = await mehmet.say(community.channel.id, '!ping');
    const seen = await answered;
    assert.equal(seen.author.id, client.user.id);
    assert.equal(seen.reference.messageId, ping.id);
    assert.equal(seen.mentions.repliedUser?.id, mehmet.id);
    const stored = await mehmet.get(`/channels/${community.channel.id}/messages?limit=2`);
    assert.deepEqual(stored.map((message) => message.content), ['pong', '!ping']);
    assert.equal(stored[0].message_reference.message_id, ping.id);
    assert.equal(stored[0].author.bot, true);
  });

  test('sends, edits, reads and deletes', TEST, async () => {
    const made = await makeChannel(world.ayse, world.community, 'work');
    const channel = await until(() => client.channels.cache.get(made.id), 'the new channel');
    const sent = await channel.send({ content: 'first' });
    assert.equal(sent.content, 'first');
    const edited = event(client, Events.MessageUpdate, (_, now) => now.id === sent.id);
    assert.equal((await sent.edit('second')).content, 'second');
    await edited;
    const page = await channel.messages.fetch({ limit: 10, cache: false });
    assert.deepEqual(page.map((message) => message.content), ['second']);
    assert.ok(page.first().editedTimestamp >= page.first().createdTimestamp);
    await channel.sendTyping();
    const deleted = event(client, Events.MessageDelete, (message) => message.id === sent.id);
    await sent.delete();
    await deleted;
    assert.equal((await channel.messages.fetch({ limit: 10, cache: false })).size, 0);
  });

  test('sets its picture', TEST, async () => {
    await client.user.setAvatar(PIXEL);
    assert.match(client.user.avatar, /^[0-9a-f]{32}$/);
    const path = new URL(client.user.displayAvatarURL({ extension: 'png', size: 128 }));
    const shown = await fetch(`${world.server.origin}${path.pathname}${path.search}`);
    assert.equal(shown.status, 200);
    assert.equal(shown.headers.get('content-type'), 'image/png');
    await client.user.setAvatar(null);
    assert.equal(client.user.avatar, null);
  });

  test('sends files and fetches them back', TEST, async () => {
    const channel = client.channels.cache.get(world.community.channel.id);
    const sent = await channel.send({
      content: 'look',
      files: [
        { attachment: PIXEL, name: 'pixel.png', description: 'a pixel' },
        { attachment: Buffer.from('<script>alert(1)</script>'), name: 'page.html' },
      ],
    });
    const [picture, page] = [...sent.attachments.values()];
    assert.equal(picture.name, 'pixel.png');
    assert.equal(picture.description, 'a pixel');
    assert.equal(picture.contentType, 'image/png');
    assert.deepEqual([picture.width, picture.height], [1, 1]);
    const shown = await fetch(picture.url);
    assert.equal(shown.status, 200);
    assert.equal(shown.headers.get('content-type'), 'image/png');
    assert.deepEqual(Buffer.from(await shown.arrayBuffer()), PIXEL);
    const saved = await fetch(page.url);
    assert.match(saved.headers.get('content-disposition'), /^attachment/);
    assert.equal(await saved.text(), '<script>alert(1)</script>');
    const edited = await sent.edit({ attachments: [picture] });
    assert.deepEqual(edited.attachments.map((file) => file.name), ['pixel.png']);
    await until(async () => (await fetch(page.url)).status === 404, 'the removed file to be gone');
    await sent.delete();
    await until(async () => (await fetch(picture.url)).status === 404, 'the file to go with it');
  });

  test('sees edits and deletions of others', TEST, async () => {
    const { ayse, community } = world;
    const at = `/channels/${community.channel.id}/messages`;
    const message = await ayse.say(community.channel.id, 'draft');
    await until(() => client.channels.cache.get(community.channel.id).messages.cache.has(message.id), 'it');
    let after;
    const updated = event(client, Events.MessageUpdate, (_, now) => {
      after = now;
      return now.id === message.id;
    });
    await ayse.patch(`${at}/${message.id}`, { content: 'final' });
    const before = await updated;
    assert.deepEqual([before.content, after.content], ['draft', 'final']);
    const deleted = event(client, Events.MessageDelete, (gone) => gone.id === message.id);
    await ayse.delete(`${at}/${message.id}`);
    await deleted;
  });

  test('knows what went wrong by its number', TEST, async () => {
    const channel = client.channels.cache.get(world.community.channel.id);
    const unknown = channel.messages.fetch({ message: '1', force: true });
    await assert.rejects(unknown, (error) => error instanceof DiscordAPIError && error.code === 10008);
    await assert.rejects(client.channels.fetch('1'), { code: 10003 });
    await assert.rejects(channel.send({ content: '' }), { status: 400 });
    await assert.rejects(channel.send({ content: 'x'.repeat(4_001) }), { code: 50035 });
  });

  test('opens a direct channel and writes there', TEST, async () => {
    const user = await client.users.fetch(world.ayse.id);
    assert.equal(user.username, world.ayse.username);
    const sent = await user.send('just between us');
    const stored = await world.ayse.get(`/channels/${sent.channelId}/messages`);
    assert.equal(stored[0].content, 'just between us');
  });

  test('resumes after its connection was cut and misses nothing', TEST, async () => {
    const { ayse, community, proxy } = world;
    const { id } = await makeChannel(ayse, community, 'tunnel');
    await until(() => client.channels.cache.has(id), 'the new channel');
    const received = [];
    client.on(Events.MessageCreate, (message) => {
      if (message.channelId === id) received.push(message.content);
    });
    await ayse.say(id, 'before');
    await until(() => received.length === 1, 'the message before');
    const resumed = event(client, Events.ShardResume, () => true, 30_000);
    proxy.cut();
    const missed = ['one', 'two', 'three', 'four'];
    for (const content of missed) await ayse.say(id, content);
    await until(() => proxy.waiting() > 0, 'the client to come back');
    assert.deepEqual(received, ['before'], 'nothing comes through a cut line');
    proxy.mend();
    await resumed;
    await ayse.say(id, 'after');
    await until(() => received.includes('after'), 'the message after');
    assert.deepEqual(received, ['before', ...missed, 'after']);
    assert.deepEqual([count('READY'), count('RESUMED')], [1, 1]);
    assert.equal(client.ws.shards.first().id, 0);
  });

  test('resumes again and again', TEST, async () => {
    const { ayse, community, proxy } = world;
    const { id } = await makeChannel(ayse, community, 'bad-line');
    await until(() => client.channels.cache.has(id), 'the new channel');
    const received = [];
    client.on(Events.MessageCreate, (message) => {
      if (message.channelId === id) received.push(message.content);
    });
    for (const content of ['1', '2', '3']) {
      const resumed = event(client, Events.ShardResume, () => true, 30_000);
      proxy.cut();
      await ayse.say(id, content);
      await until(() => proxy.waiting() > 0, 'the client to come back');
      proxy.mend();
      await resumed;
    }
    await until(() => received.length >= 3, 'all messages');
    assert.deepEqual(received, ['1', '2', '3']);
    assert.deepEqual([count('READY'), count('RESUMED')], [1, 4]);
  });

  test('had nothing to complain about', TEST, () => {
    assert.deepEqual(warnings, []);
  });

  test('a refused token stops it', TEST, async () => {
    const other = new Client({
      rest: { api: `${world.proxy.origin}/api` },
      intents: [GatewayIntentBits.Guilds],
    });
    const parts = world.bot.token.split('.');
    const wrong = [...parts.slice(0, -1), 'A'.repeat(parts.at(-1).length)].join('.');
    await assert.rejects(within(other.login(wrong), 'the refusal'), { code: 'TokenInvalid' });
    await other.destroy();
  });
}
