// A real OpenID provider: the package oidc-provider, on loopback, with its own forms for people.

import { createServer } from 'node:http';

import Provider from 'oidc-provider';

export const CLIENT = { id: 'meydan', secret: 'a secret: of 100% & more' };

/** Listens at once, so that the server can be told where; `open` says whom it lets in. */
export async function startProvider() {
  let handle = (_, answer) => answer.writeHead(503).end();
  const listener = createServer((asked, answer) => handle(asked, answer));
  await new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  const { port } = listener.address();
  const issuer = `http://127.0.0.1:${port}`;
  return {
    issuer,
    place: `127.0.0.1:${port}`,
    open(callbacks) {
      handle = new Provider(issuer, configuration(callbacks)).callback();
    },
    stop: () => new Promise((resolve) => {
      listener.close(resolve);
      listener.closeAllConnections();
    }),
  };
}

function configuration(callbacks) {
  return {
    clients: [{
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      redirect_uris: callbacks,
      response_types: ['code'],
      grant_types: ['authorization_code'],
    }],
    pkce: { required: () => true },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    cookies: { keys: ['a key of this test alone'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@idp.example`, email_verified: true, name: 'Zeynep Kaya' }),
    }),
  };
}
