// A person with a browser logs in at another provider: discovery, proof key, ID token.

import assert from 'node:assert/strict';
import { test } from 'node:test';

const TEST = { timeout: 60_000 };
const MOST_STEPS = 20;

/** A browser without scripts: cookies by origin, redirects, the provider's forms. */
class Browser {
  cookies = new Map();

  async ask(url, form) {
    const { origin } = new URL(url);
    const jar = this.cookies.get(origin) ?? new Map();
    this.cookies.set(origin, jar);
    const answer = await fetch(url, {
      method: form ? 'POST' : 'GET',
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      body: form && new URLSearchParams(form),
    });
    for (const set of answer.headers.getSetCookie()) {
      const [pair] = set.split(';');
      const at = pair.indexOf('=');
      jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return answer;
  }

  /** Follows redirects and fills in forms until `end` is reached; gives all addresses. */
  async walk(url, end, login) {
    const seen = [url];
    let answer = await this.ask(url);
    while (seen.length < MOST_STEPS) {
      const here = seen.at(-1);
      const to = answer.headers.get('location');
      if (to !== null) {
        await answer.arrayBuffer();
        const next = new URL(to, here).href;
        seen.push(next);
        if (next === end) return seen;
        answer = await this.ask(next);
        continue;
      }
      const page = await answer.text();
      const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
      assert.ok(prompt, `${answer.status} at ${here}: ${page.slice(0, 400)}`);
      const action = /action="([^"]+)"/.exec(page)?.[1] ?? here;
      answer = await this.ask(new URL(action, here).href, { prompt, login, password: 'any' });
    }
    throw new Error(`no end: ${seen.join(' ')}`);
  }
}

export default function oauth(world) {
  const begin = () => `${world.origin}/v1/auth/oauth/panva?session=cookie&return_to=/home`;
  const me = async (browser) => {
    const answer = await browser.ask(`${world.origin}/v1/users/@me`);
    return { status: answer.status, body: await answer.json() };
  };

  test('somebody logs in at a provider and comes back as the same person', TEST, async () => {
    const ids = [];
    for (let visit = 0; visit < 2; visit += 1) {
      const browser = new Browser();
      const seen = await browser.walk(begin(), `${world.origin}/home`, 'zeynep');
      assert.ok(seen[1].startsWith(`${world.provider.issuer}/auth?`), seen[1]);
      const { status, body } = await me(browser);
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.display_name, 'Zeynep Kaya');
      assert.equal(body.email, 'zeynep@idp.example');
      assert.equal(body.email_verified, true);
      ids.push(body.id);
    }
    assert.equal(ids[0], ids[1]);
  });

  test('what came back is good once and in its own browser only', TEST, async () => {
    const browser = new Browser();
    const seen = await browser.walk(begin(), `${world.origin}/home`, 'zeynep');
    const back = seen.find((address) => address.includes('/callback?'));
    for (const visitor of [browser, new Browser()]) {
      const answer = await visitor.ask(back);
      assert.equal(answer.status, 303);
      assert.equal(answer.headers.get('location'), '/auth/login#error=OAUTH_FAILED');
      assert.equal((await me(visitor)).status, visitor === browser ? 200 : 401);
    }
  });
}
