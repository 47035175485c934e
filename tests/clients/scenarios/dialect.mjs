// What libraries take for granted about answers, looked at without one.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { call } from '../lib/api.mjs';
import { makeChannel, signUp } from '../lib/world.mjs';

const TEST = { timeout: 60_000 };

export default function dialect(world) {
  const at = (path) => `/api/v10${path}`;

  test('a JSON answer says exactly application/json, an empty one nothing', TEST, async () => {
    const { ayse, origin, community } = world;
    const me = await call(origin, 'GET', at('/users/@me'), ayse.authorization);
    assert.equal(me.headers.get('content-type'), 'application/json');
    const path = at(`/channels/${community.channel.id}/typing`);
    const typing = await call(origin, 'POST', path, ayse.authorization);
    assert.equal(typing.status, 204);
    assert.equal(typing.headers.get('content-type'), null);
    assert.equal(typing.body, null);
  });

  test('the gateway is named with and without what a bot may start', TEST, async () => {
    const { bot, proxy, origin } = world;
    for (const asked of [origin, proxy.origin]) {
      const { url } = (await call(asked, 'GET', at('/gateway'))).body;
      // Without a query: discord.js appends its own.
      assert.equal(url, `${asked.replace('http', 'ws')}/gateway`);
    }
    const started = await bot.get('/gateway/bot');
    assert.equal(started.url, `${origin.replace('http', 'ws')}/gateway`);
    assert.equal(started.shards, 1);
    const { total, remaining, max_concurrency: concurrency } = started.session_start_limit;
    assert.ok(total >= remaining && remaining > 0);
    assert.equal(concurrency, 16);
  });

  test('a bad token is 401 with the words libraries know', TEST, async () => {
    const bad = await call(world.origin, 'GET', at('/users/@me'), 'Bot nonsense');
    assert.equal(bad.status, 401);
    assert.deepEqual(bad.body, { message: '401: Unauthorized', code: 0 });
  });

  test('errors are numbers, and fields have their own', TEST, async () => {
    const { mehmet, community } = world;
    const long = await mehmet.say(community.channel.id, 'x'.repeat(4_001)).catch((error) => error);
    assert.match(long.message, /50035/);
    const answer = await call(
      world.origin,
      'POST',
      at(`/channels/${community.channel.id}/messages`),
      mehmet.authorization,
      { content: 'x'.repeat(4_001) },
    );
    assert.equal(answer.status, 400);
    assert.equal(answer.body.code, 50035);
    assert.ok(answer.body.errors.content._errors[0].code);
    assert.equal((await mehmet.get('/channels/1', 404)).code, 10003);
    assert.equal((await mehmet.get('/guilds/1', 404)).code, 10004);
    const at404 = `/channels/${community.channel.id}/messages/1`;
    assert.equal((await mehmet.get(at404, 404)).code, 10008);
  });

  test('ids are accepted as numbers and given as strings', TEST, async () => {
    const { ayse, community } = world;
    const { id } = await makeChannel(ayse, community, 'numbers');
    const first = await ayse.say(id, 'first');
    const path = at(`/channels/${id}/messages`);
    // Written by hand: a number of this size does not survive JavaScript.
    const text = `{"content":"second","nonce":12345678901234567890,"message_reference":{"message_id":${first.id}}}`;
    const answer = await fetch(world.origin + path, {
      method: 'POST',
      headers: { authorization: ayse.authorization, 'content-type': 'application/json' },
      body: text,
      signal: AbortSignal.timeout(10_000),
    });
    const body = await answer.text();
    const second = JSON.parse(body);
    assert.equal(answer.status, 200, JSON.stringify(second));
    assert.equal(second.message_reference.message_id, first.id);
    assert.match(body, /"nonce":"?12345678901234567890"?[,}]/);
    assert.match(second.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);
  });

  test('a nonce stores a message once', TEST, async () => {
    const { ayse, community } = world;
    const { id } = await makeChannel(ayse, community, 'once');
    const body = { content: 'once', nonce: 'n1', enforce_nonce: true };
    const path = at(`/channels/${id}/messages`);
    const first = await call(world.origin, 'POST', path, ayse.authorization, body);
    const again = await call(world.origin, 'POST', path, ayse.authorization, body);
    assert.deepEqual([first.status, again.status], [200, 200]);
    assert.equal(again.body.id, first.body.id);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.equal((await ayse.get(`/channels/${id}/messages`)).length, 1);
  });

  test('a 429 is one that libraries obey', TEST, async () => {
    const { mehmet, community, ayse } = world;
    const { id } = await makeChannel(ayse, community, 'busy');
    let limited;
    for (let tries = 0; tries < 20 && !limited; tries += 1) {
      const answer = await fetch(`${world.origin}/api/v10/channels/${id}/messages`, {
        method: 'POST',
        headers: { authorization: mehmet.authorization, 'content-type': 'application/json' },
        body: JSON.stringify({ content: `busy ${tries}` }),
        signal: AbortSignal.timeout(10_000),
      });
      const body = await answer.json();
      for (const name of ['limit', 'remaining', 'reset', 'reset-after', 'bucket']) {
        assert.ok(answer.headers.get(`x-ratelimit-${name}`), `x-ratelimit-${name}`);
      }
      if (answer.status === 429) limited = { answer, body };
    }
    assert.ok(limited, 'twenty messages at once met no limit');
    const { answer, body } = limited;
    assert.match(answer.headers.get('via'), /meydan/);
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
    assert.ok(body.retry_after > 0 && body.retry_after < 60);
    assert.equal(body.global, false);
  });

  test('strangers see nothing', TEST, async () => {
    const { community, origin } = world;
    const path = at(`/channels/${community.channel.id}/messages`);
    assert.equal((await call(origin, 'GET', path)).status, 401);
    const stranger = await signUp(origin, 'stranger');
    const hidden = await call(origin, 'GET', path, stranger.authorization);
    assert.ok([403, 404].includes(hidden.status), String(hidden.status));
  });
}
