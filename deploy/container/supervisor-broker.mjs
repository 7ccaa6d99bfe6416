/**
 * Prints URL and user of the broker that Home Assistant's supervisor offers its add-ons (`services: [mqtt:want]`), and
 * writes the password into the file that is named: `node supervisor-broker.mjs FILE`. Ends with 1 where there is none.
 */
import { chmodSync, writeFileSync } from 'node:fs';

const [file] = process.argv.slice(2);
const answer = await fetch('http://supervisor/services/mqtt', {
  headers: { authorization: `Bearer ${process.env.SUPERVISOR_TOKEN}` },
  signal: AbortSignal.timeout(10_000),
});
const { data } = await answer.json();
if (!answer.ok || typeof data?.host !== 'string') {
  console.error('faced: the supervisor knows no MQTT broker');
  process.exit(1);
}
writeFileSync(file, `${data.password ?? ''}\n`, { mode: 0o600 });
chmodSync(file, 0o600);
console.log(`${data.ssl ? 'mqtts' : 'mqtt'}://${data.host}:${data.port} ${data.username ?? ''}`);
