import type { TestContext } from 'node:test';
import type { Logger } from '../../src/lib/log.js';
import {
  createMqttLink,
  type MqttLink,
  type MqttLinkEvents,
  type MqttLinkOptions,
} from '../../src/mqtt/client.js';
import type { DoorPort } from '../../src/mqtt/command-forms.js';
import type { CommandMemory } from '../../src/mqtt/commands.js';
import type { Outbox } from '../../src/mqtt/outbox-pump.js';
import type { Command, CommandHandler } from '../../src/pipeline/ports.js';
import { MemoryCommands, MemoryOutbox } from './broker-outbox.js';

/** Collects what was logged, as text that a test can search. */
export class LogKeeper implements Logger {
  readonly lines: string[] = [];
  debug = (details: object, message: string) => this.#keep('debug', details, message);
  info = (details: object, message: string) => this.#keep('info', details, message);
  warn = (details: object, message: string) => this.#keep('warn', details, message);
  error = (details: object, message: string) => this.#keep('error', details, message);
  child = () => this;

  matching(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }

  #keep(level: string, details: object, message: string): void {
    this.lines.push(`${level} ${message} ${JSON.stringify(details)}`);
  }
}

export interface TestLink {
  readonly link: MqttLink;
  /** What the link drains, unless it was given another one. */
  readonly outbox: MemoryOutbox;
  readonly log: LogKeeper;
  readonly commands: Command[];
}

export interface TestLinkOptions extends Partial<MqttLinkOptions> {
  readonly url: string;
}

/** A link with quick pauses that is stopped with the test; not started. */
export function makeLink(
  t: TestContext,
  options: TestLinkOptions,
  parts: { outbox?: Outbox; handler?: CommandHandler; door?: DoorPort; memory?: CommandMemory } = {},
): TestLink {
  const outbox = new MemoryOutbox();
  const log = new LogKeeper();
  const commands: Command[] = [];
  const link = createMqttLink(
    { device: 'door', minPauseMs: 20, maxPauseMs: 100, ...options },
    {
      outbox: parts.outbox ?? outbox,
      memory: parts.memory ?? new MemoryCommands(),
      ...(parts.door && { door: parts.door }),
      log,
      handler: async (command) => {
        commands.push(command);
        return parts.handler?.(command) ?? { person: { id: 'p', name: 'Ada' }, samples: [] };
      },
    },
  );
  t.after(() => link.stop());
  return { link, outbox, log, commands };
}

/** The next event of this name; subscribe before what causes it. */
export function next<Name extends keyof MqttLinkEvents>(
  link: MqttLink,
  name: Name,
): Promise<MqttLinkEvents[Name]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} in 30 s: ${link.stats().problem}`)), 30_000);
    const off = link.on(name, (payload) => {
      clearTimeout(timer);
      off();
      resolve(payload);
    });
  });
}

export async function startLink(test: TestLink): Promise<MqttLinkEvents['connected']> {
  const connected = next(test.link, 'connected');
  await test.link.start(new AbortController().signal);
  return connected;
}
