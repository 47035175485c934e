// A TCP proxy that can lose its connections as a bad network does.

import { connect, createServer } from 'node:net';

export async function startProxy(targetPort) {
  const pairs = new Set();
  const waiting = new Set();
  let held = false;

  function join(client) {
    const upstream = connect(targetPort, '127.0.0.1');
    const pair = { client, upstream };
    pairs.add(pair);
    const part = () => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on('error', part);
      socket.on('close', part);
    }
    client.pipe(upstream).pipe(client);
  }

  const server = createServer((client) => {
    client.on('error', () => client.destroy());
    if (!held) return join(client);
    client.pause();
    waiting.add(client);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });

  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    /** How many connections go through. */
    count: () => pairs.size,
    /**
     * Ends all connections in the middle, without a close frame, and makes new ones wait. Clients
     * see the end of the stream: a reset would make discord.js identify anew instead of resuming.
     */
    cut() {
      held = true;
      for (const { client, upstream } of pairs) {
        client.unpipe(upstream);
        upstream.unpipe(client);
        upstream.destroy();
        client.end();
      }
      pairs.clear();
    },
    /** How many clients have come back and wait. */
    waiting: () => waiting.size,
    /** Lets those who wait, and all later ones, through. */
    mend() {
      held = false;
      for (const client of waiting) join(client);
      waiting.clear();
    },
    async stop() {
      for (const { client, upstream } of pairs) {
        client.destroy();
        upstream.destroy();
      }
      for (const client of waiting) client.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
