/** A link in a process of its own, to be killed. Its argument is the link's options. */
import { silentLogger } from '../../src/lib/log.js';
import { createMqttLink, type MqttLinkOptions } from '../../src/mqtt/client.js';
import { MemoryCommands, MemoryOutbox } from '../helpers/broker-outbox.js';

const options = JSON.parse(process.argv[2] ?? '{}') as MqttLinkOptions;
const link = createMqttLink(options, {
  outbox: new MemoryOutbox(),
  memory: new MemoryCommands(),
  handler: async () => ({}),
  log: silentLogger,
});
link.on('connected', () => process.send?.('connected'));
await link.start(new AbortController().signal);
