// REST calls as a person or a bot makes them.

import assert from 'node:assert/strict';

import { pause } from './wait.mjs';

const ANSWER_WITHIN = 15_000;
const PATIENCE = 60_000;

/** One call; a 429 is obeyed. Gives `{status, headers, body}`. */
export async function call(origin, method, path, authorization, body) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const answer = await fetch(origin + path, {
      method,
      signal: AbortSignal.timeout(ANSWER_WITHIN),
      headers: {
        ...(authorization && { authorization }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    const json = text === '' ? null : JSON.parse(text);
    if (answer.status !== 429) return { status: answer.status, headers: answer.headers, body: json };
    const wait = 1_000 * Number(json?.retry_after ?? answer.headers.get('retry-after') ?? 1);
    assert.ok(Date.now() + wait < end, `${method} ${path} is limited for ${wait} ms`);
    await pause(wait);
  }
}

/** Somebody with a token. */
export class Actor {
  constructor(origin, id, scheme, token) {
    Object.assign(this, { origin, id, token, authorization: `${scheme} ${token}` });
  }

  /** A call that has to end with one of these statuses; gives the body. */
  async expect(statuses, method, path, body) {
    const answer = await call(this.origin, method, path, this.authorization, body);
    const told = `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`;
    assert.ok([statuses].flat().includes(answer.status), told);
    return answer.body;
  }

  post(path, body = {}, statuses = [200, 201]) {
    return this.expect(statuses, 'POST', `/api/v10${path}`, body);
  }

  get(path, statuses = 200) {
    return this.expect(statuses, 'GET', `/api/v10${path}`);
  }

  patch(path, body, statuses = 200) {
    return this.expect(statuses, 'PATCH', `/api/v10${path}`, body);
  }

  put(path, body, statuses = [200, 201, 204]) {
    return this.expect(statuses, 'PUT', `/api/v10${path}`, body);
  }

  delete(path, statuses = 204) {
    return this.expect(statuses, 'DELETE', `/api/v10${path}`);
  }

  say(channel, content, more = {}) {
    return this.post(`/channels/${channel}/messages`, { content, ...more });
  }
}
