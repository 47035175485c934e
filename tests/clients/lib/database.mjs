// The server's own database, for what a test cannot wait for.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Runs a statement as the owner of everything. */
function run(server, sql) {
  execFileSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', sql], {
    env: {
      ...process.env,
      PGHOST: join(server.data, 'run', 'pg'),
      PGUSER: 'meydan',
      PGDATABASE: 'postgres',
      PGPASSWORD: readFileSync(join(server.data, 'secrets', 'pg.password'), 'utf8').trim(),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** Lets a day pass since the last code to every number and address. */
export function restNumbers(server) {
  run(server, "UPDATE identity.otp_targets SET last_send_at = last_send_at - interval '1 day'");
}

/** Lets ten minutes pass since every login of somebody. Nodes know a session's time for a minute, so
 * this comes before its first use. */
export function ageLogins(server, username) {
  run(server, `UPDATE identity.user_devices d SET auth_time = d.auth_time - interval '10 minutes'
                 FROM identity.users u WHERE u.id = d.user_id AND u.username = '${username}'`);
}
