// For check-packages.sh, in a network of its own: answers as Home Assistant's supervisor does, and runs the broker it speaks of,
// which takes nobody without the password.
//   node supervisor.mjs DIR     DIR/ready when it answers, DIR/heard.ndjson of what faced publishes
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';

const dir = process.argv[2];
const broker = {
  host: '127.0.0.1',
  port: 1884,
  ssl: false,
  username: 'addons',
  password: 'from the supervisor',
};
mkdirSync(dir, { recursive: true });
chmodSync(dir, 0o755);
const passwords = join(dir, 'passwords');
execFileSync('mosquitto_passwd', ['-b', '-c', passwords, broker.username, broker.password]);
chmodSync(passwords, 0o644);
writeFileSync(join(dir, 'mosquitto.conf'), `listener ${broker.port} 127.0.0.1\npassword_file ${passwords}\n`);
const mosquitto = spawn('mosquitto', ['-c', join(dir, 'mosquitto.conf')], {
  env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  stdio: 'inherit',
});
process.on('SIGTERM', () => {
  mosquitto.kill();
  process.exit(0);
});

const url = `mqtt://127.0.0.1:${broker.port}`;
const { username, password } = broker;
let client;
while (client === undefined)
  client = await connectAsync(url, { reconnectPeriod: 0, username, password }).catch(() => undefined);
client.on('message', (topic, payload) =>
  appendFileSync(join(dir, 'heard.ndjson'), `${JSON.stringify({ topic, payload: payload.toString() })}\n`),
);
await client.subscribeAsync('faced/#', { qos: 1 });

createServer((request, response) => {
  const allowed =
    request.url === '/services/mqtt' && request.headers.authorization === 'Bearer token of an add-on';
  response.writeHead(allowed ? 200 : 401, { 'content-type': 'application/json' });
  response.end(JSON.stringify(allowed ? { result: 'ok', data: broker } : { result: 'error' }));
}).listen(80, '127.0.0.1', () => writeFileSync(join(dir, 'ready'), ''));
