// The built server, started on a free port with a data folder of its own.

import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { until, within } from './wait.mjs';

const READY_WITHIN = 120_000;
const STOP_WITHIN = 30_000;

function binary() {
  if (process.env.MEYDAN_BIN) return process.env.MEYDAN_BIN;
  const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
  const asked = ['metadata', '--format-version', '1', '--no-deps', '--offline'];
  const metadata = execFileSync('cargo', asked, { cwd: root, maxBuffer: 1 << 28 });
  return join(JSON.parse(metadata).target_directory, 'debug', 'meydan');
}

/** A port that nobody uses now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts the server with more settings and waits until it is ready. */
export async function startServer(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'meydan-clients-'));
  const port = await freePort();
  const logPath = join(folder, 'server.log');
  const log = openSync(logPath, 'w');
  const args = ['up', '--listen', '127.0.0.1', '--port', String(port), '--data', join(folder, 'data')];
  const child = spawn(binary(), args, {
    cwd: folder,
    stdio: ['ignore', log, log],
    env: {
      // Settings of whoever runs the tests must not change what is tested.
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MEYDAN_'))),
      MEYDAN_ENV: 'dev',
      MEYDAN_GRPC__PORT: '0',
      MEYDAN_AUTH__LIMITS__REGISTRATION_ADDRESS_PER_HOUR: '1000',
      MEYDAN_AUTH__LIMITS__LOGIN_ADDRESS_PER_MINUTE: '1000',
      MEYDAN_REALTIME__DRAIN_SECONDS: '0',
      MEYDAN_HTTP__DRAIN_GRACE: '0s',
      MEYDAN_HTTP__DRAIN_DEADLINE: '10s',
      ...settings,
    },
  });
  closeSync(log);
  let ended;
  const end = new Promise((resolve) => {
    child.once('error', (error) => resolve((ended = `could not be started: ${error.message}`)));
    child.once('exit', (code, signal) => resolve((ended = `ended with ${signal ?? code}`)));
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const server = {
    port,
    data: join(folder, 'data'),
    origin: `http://127.0.0.1:${port}`,
    tail: () => readFileSync(logPath, 'utf8').split('\n').slice(-30).join('\n'),
    async stop() {
      if (ended === undefined) child.kill('SIGTERM');
      try {
        await within(end, 'the server to stop on SIGTERM', STOP_WITHIN);
        if (ended !== 'ended with 0') throw new Error(`the server ${ended}\n${server.tail()}`);
      } finally {
        kill();
        process.off('exit', kill);
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
  try {
    await until(() => ready(server.origin, () => ended), 'the server to be ready', READY_WITHIN);
  } catch (error) {
    const tail = server.tail();
    await server.stop().catch(() => {});
    throw new Error(`${error.message}\n${tail}`);
  }
  return server;
}

async function ready(origin, ended) {
  if (ended()) throw new Error(`the server ${ended()}`);
  try {
    const answer = await fetch(`${origin}/readyz`, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}
