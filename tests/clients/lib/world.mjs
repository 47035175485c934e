// Two people, a community and a bot, made over REST as clients make them.

import assert from 'node:assert/strict';

import { Actor, call } from './api.mjs';
import { until } from './wait.mjs';

const VIEW = 1 << 10;
const SEND = 1 << 11;
const HISTORY = 1 << 16;
/** The dialect's flag of an application that may be told what messages say. */
const CONTENT_FLAG = 1 << 19;

let number = 0;

/** Signs somebody up; development mode gives tokens at once. */
export async function signUp(origin, name) {
  number += 1;
  const username = `${name}${number}${Date.now().toString(36)}`;
  const answer = await call(origin, 'POST', '/v1/auth/registrations', undefined, {
    email: `${username}@example.com`,
    password: `long enough for ${username}!`,
    username,
    display_name: name,
  });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  const { access_token: token, user_id: id } = answer.body;
  return Object.assign(new Actor(origin, id, 'Bearer', token), { username });
}

/** A text channel. */
export function makeChannel(owner, community, name) {
  return owner.post(`/guilds/${community.id}/channels`, { name, type: 0 });
}

/** A community with its first channel. */
export async function makeCommunity(owner, name) {
  const community = await owner.post('/guilds', { name });
  const channel = await makeChannel(owner, community, 'scripted');
  return { ...community, channel };
}

/** Lets a person in by an invite. */
export async function join(owner, person, channel) {
  const invite = await owner.post(`/channels/${channel.id}/invites`, { max_age: 0, max_uses: 0 });
  await person.post(`/invites/${invite.code}`);
}

/** An application whose bot may be told what messages say, unless `flags` is 0. */
export async function makeBot(owner, name, flags = CONTENT_FLAG) {
  const made = await owner.post('/applications', { name }, 201);
  assert.ok(made.token, 'a new application shows its token once');
  await owner.patch(`/applications/${made.id}`, { flags });
  const bot = new Actor(owner.origin, made.bot.id, 'Bot', made.token);
  return Object.assign(bot, { application: made.id, username: made.bot.username });
}

export function install(owner, bot, community) {
  const permissions = String(VIEW | SEND | HISTORY);
  return owner.put(`/applications/${bot.application}/installs/${community.id}`, { permissions });
}

/** What all scenarios begin with. */
export async function makeWorld(origin) {
  const ayse = await signUp(origin, 'ayse');
  const mehmet = await signUp(origin, 'mehmet');
  const community = await makeCommunity(ayse, 'Meydan');
  await join(ayse, mehmet, community.channel);
  const bot = await makeBot(ayse, 'pinger');
  await install(ayse, bot, community);
  const members = `/guilds/${community.id}/members/${bot.id}`;
  await until(() => bot.get(members).catch(() => false), 'the bot to be a member');
  return { origin, ayse, mehmet, community, bot };
}
