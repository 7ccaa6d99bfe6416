import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { silentLogger } from '../../src/lib/log.js';
import { createBroker } from '../../src/mqtt/broker.js';
import { temporaryDir } from './dirs.js';

/** A running broker that can be killed and started again on its port; what it held is lost. */
export interface TestBroker {
  readonly port: number;
  readonly url: string;
  /** What faced's own link needs beside the URL. */
  readonly own: { readonly username?: string; readonly password?: string };
  kill(): Promise<void>;
  restart(): Promise<void>;
}

export type BrokerKind = 'mosquitto' | 'embedded';

const MOSQUITTO = ['/usr/sbin/mosquitto', 'mosquitto'].find(
  (path) => spawnSync(path, ['-h'], { stdio: 'ignore' }).error === undefined,
);

/** Use as a test's `skip` option. */
export const withoutMosquitto: string | false =
  MOSQUITTO === undefined ? 'needs mosquitto (apt-get install mosquitto)' : false;

/** Every kind with its skip reason, for suites that run over all of them. */
export const BROKERS: readonly { kind: BrokerKind; skip: string | false }[] = [
  { kind: 'mosquitto', skip: withoutMosquitto },
  { kind: 'embedded', skip: false },
];

export function startBroker(t: TestContext, kind: BrokerKind): Promise<TestBroker> {
  return kind === 'mosquitto' ? startMosquitto(t) : startEmbedded(t);
}

/** `lines` are added to the configuration; the listener is on 127.0.0.1 and takes anybody unless they say otherwise. */
export async function startMosquitto(
  t: TestContext,
  lines: readonly string[] = ['allow_anonymous true'],
  wantedPort?: number,
): Promise<TestBroker> {
  const dir = await temporaryDir(t);
  const port = wantedPort ?? (await freePort());
  const config = join(dir, 'mosquitto.conf');
  const user = process.getuid?.() === 0 ? ['user root'] : [];
  const text = ['persistence false', 'log_dest stderr', ...user, `listener ${port} 127.0.0.1`, ...lines, ''];
  await writeFile(config, text.join('\n'));
  let child: ChildProcess | undefined;
  const start = async () => {
    child = spawn(MOSQUITTO ?? 'mosquitto', ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    await saysRunning(child);
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  t.after(kill);
  await start();
  return { port, url: `mqtt://127.0.0.1:${port}`, own: {}, kill, restart: start };
}

async function saysRunning(child: ChildProcess): Promise<void> {
  let said = '';
  for await (const chunk of child.stderr ?? []) {
    said += String(chunk);
    if (/mosquitto version \S+ running/.test(said)) {
      child.stderr?.resume();
      return;
    }
  }
  throw new Error(`mosquitto did not start: ${said}`);
}

async function startEmbedded(t: TestContext): Promise<TestBroker> {
  const port = await freePort();
  const broker = createBroker({ port }, { log: silentLogger });
  const start = () => broker.start(new AbortController().signal);
  t.after(() => broker.stop());
  await start();
  return { port, url: broker.url, own: broker.credentials, kill: () => broker.stop(), restart: start };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A client that remembers what it received and can be waited for. */
export class Listener {
  readonly received: { topic: string; payload: Buffer; packet: IPublishPacket }[] = [];
  readonly client: MqttClient;
  readonly #changed = new Set<() => void>();

  constructor(client: MqttClient) {
    this.client = client;
    client.on('error', () => {});
    client.on('message', (topic, payload, packet) => {
      this.received.push({ topic, payload, packet });
      for (const changed of [...this.#changed]) changed();
    });
  }

  on(topic: string): string[] {
    return this.received.filter((one) => one.topic === topic).map((one) => one.payload.toString());
  }

  /** Resolves once `done` holds; rejects with what was received after half a minute. */
  async until(done: () => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#changed.delete(check);
        settle();
      };
      const check = () => {
        if (done()) finish(resolve);
      };
      const timer = setTimeout(() => {
        const seen = this.received.map(
          ({ topic, payload }) => `${topic} ${payload.toString().slice(0, 120)}`,
        );
        finish(() => reject(new Error(`waited in vain; received:\n${seen.slice(-20).join('\n')}`)));
      }, 30_000);
      this.#changed.add(check);
      check();
    });
  }
}

export async function listen(
  t: TestContext,
  url: string,
  topics: readonly string[],
  options: IClientOptions = {},
): Promise<Listener> {
  const client = await connectAsync(url, { reconnectPeriod: 0, protocolVersion: 4, ...options });
  t.after(() => client.endAsync(true));
  const listener = new Listener(client);
  if (topics.length > 0) await client.subscribeAsync([...topics], { qos: 1 });
  return listener;
}

/** Resolves when the client's connection has ended. */
export function closing(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()));
}

/** A wire that can be cut: connections to its port reach the broker only while it is whole. */
export class Wire {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #whole = true;
  port = 0;
  /** Called with each chunk on its way to the broker; false cuts the wire's connections. */
  inspect: (chunk: Buffer) => boolean = () => true;

  static async lay(t: TestContext, target: number): Promise<Wire> {
    const wire = new Wire();
    const server = createServer((near) => wire.#join(near, target));
    wire.#server = server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address !== null && typeof address !== 'string') wire.port = address.port;
    t.after(() => {
      wire.cut();
      wire.#server?.close();
    });
    return wire;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  cut(): void {
    this.#whole = false;
    this.snip();
  }

  /** Ends the connections of this moment; new ones pass. */
  snip(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#whole = true;
  }

  #join(near: Socket, target: number): void {
    near.on('error', () => {});
    if (!this.#whole) {
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    far.on('error', () => near.destroy());
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (chunk) => {
      if (this.inspect(chunk)) far.write(chunk);
      else near.destroy();
    });
    far.on('data', (chunk) => near.write(chunk));
  }
}
