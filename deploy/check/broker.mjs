// For check-arm64.sh: a real broker, and a listener that writes what faced publishes to FACED_BROKER_DIR/heard.ndjson.
import { spawn } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';

const dir = process.env.FACED_BROKER_DIR;
const port = await new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port: free } = server.address();
    server.close(() => resolve(free));
  });
});
writeFileSync(join(dir, 'mosquitto.conf'), `listener ${port} 127.0.0.1\nallow_anonymous true\n`);
const path = `${process.env.PATH}:/usr/sbin`;
const broker = spawn('mosquitto', ['-c', join(dir, 'mosquitto.conf')], {
  env: { ...process.env, PATH: path },
  stdio: 'inherit',
});
process.on('SIGTERM', () => {
  broker.kill();
  process.exit(0);
});
const url = `mqtt://127.0.0.1:${port}`;
let client;
while (client === undefined) client = await connectAsync(url, { reconnectPeriod: 0 }).catch(() => undefined);
client.on('message', (topic, payload) =>
  appendFileSync(join(dir, 'heard.ndjson'), `${JSON.stringify({ topic, payload: payload.toString() })}\n`),
);
await client.subscribeAsync('faced/pi/#', { qos: 1 });
writeFileSync(join(dir, 'broker.url'), url);
