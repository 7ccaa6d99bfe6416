import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { CATALOGUE } from '../../src/mqtt/catalogue.js';
import { type DiscoveryAbout, discoveryId, discoveryPayload } from '../../src/mqtt/discovery.js';
import type { HomeAssistantOptions } from '../../src/mqtt/home-assistant.js';
import { ControlSetSchema, LockSetSchema } from '../../src/mqtt/schemas.js';
import { BROKERS, listen, startBroker, startMosquitto, withoutMosquitto } from '../helpers/broker.js';
import { makeLink, startLink } from '../helpers/broker-link.js';
import { ROOT } from '../helpers/data.js';

const ABOUT: DiscoveryAbout = {
  device: 'door',
  version: '0.1.0',
  cameras: ['porch', 'back-yard'],
  snapshots: true,
  controls: true,
  doors: [
    { id: 'front', commands: true },
    { id: 'side', commands: false },
  ],
  presentS: 30,
};
const { device: _device, ...about } = ABOUT;
const OPTIONS: HomeAssistantOptions = { ...about, enabled: true };
const TOPIC = 'homeassistant/device/faced_door/config';

/**
 * What Home Assistant takes for each platform, by its own words; the first list is needed. It drops other keys silently.
 * Short forms of keys (`stat_t`) are for devices with little memory and would be expanded; none is used.
 */
const COMMON = [
  'platform',
  'name',
  'unique_id',
  'default_entity_id',
  'icon',
  'entity_category',
  'enabled_by_default',
  'json_attributes_topic',
  'json_attributes_template',
  'qos',
  'encoding',
];
const PLATFORMS: Readonly<Record<string, { needed: readonly string[]; allowed: readonly string[] }>> = {
  event: { needed: ['state_topic', 'event_types'], allowed: ['value_template', 'device_class'] },
  sensor: {
    needed: ['state_topic'],
    allowed: [
      'value_template',
      'device_class',
      'state_class',
      'unit_of_measurement',
      'suggested_display_precision',
      'options',
      'expire_after',
      'force_update',
    ],
  },
  binary_sensor: {
    needed: ['state_topic'],
    allowed: ['value_template', 'device_class', 'off_delay', 'expire_after', 'payload_on', 'payload_off'],
  },
  button: {
    needed: ['command_topic'],
    allowed: ['command_template', 'payload_press', 'device_class', 'retain'],
  },
  switch: {
    needed: ['command_topic'],
    allowed: [
      'state_topic',
      'value_template',
      'command_template',
      'payload_on',
      'payload_off',
      'state_on',
      'state_off',
      'device_class',
      'optimistic',
      'retain',
    ],
  },
  image: { needed: ['image_topic'], allowed: ['content_type', 'image_encoding'] },
  lock: {
    needed: ['command_topic'],
    allowed: [
      'state_topic',
      'value_template',
      'command_template',
      'payload_lock',
      'payload_unlock',
      'state_locked',
      'state_unlocked',
      'state_jammed',
      'optimistic',
      'retain',
    ],
  },
};

test('the announcement has only keys that Home Assistant takes, and those that it needs', () => {
  const payload = discoveryPayload(ABOUT);
  assert.deepEqual(Object.keys(payload).sort(), ['availability_topic', 'components', 'device', 'origin']);
  assert.deepEqual(payload.device.identifiers, ['faced_door']);
  assert.equal(payload.origin.name, 'faced');
  const ids = new Set<unknown>();
  for (const [name, component] of Object.entries(payload.components)) {
    const rules = PLATFORMS[component.platform];
    assert.ok(rules, `${name}: ${component.platform}`);
    const keys = Object.keys(component);
    for (const key of keys)
      assert.ok([...COMMON, ...rules.needed, ...rules.allowed].includes(key), `${name}.${key}`);
    for (const key of [...rules.needed, 'unique_id', 'name']) assert.ok(keys.includes(key), `${name}.${key}`);
    assert.match(name, /^[a-zA-Z0-9_-]+$/);
    assert.match(String(component.default_entity_id), new RegExp(`^${component.platform}\\.[a-z0-9_]+$`));
    // `options` belongs to the class enum, and excludes a unit and a state class.
    if ('options' in component) assert.equal(component.device_class, 'enum');
    if ('options' in component) assert.ok(!keys.includes('state_class'));
    if ('options' in component) assert.ok(!keys.includes('unit_of_measurement'));
    // A command that the broker kept would come again at each start of ours.
    if ('command_topic' in component) assert.equal(component.retain, false);
    checkValues(name, component);
    ids.add(component.unique_id);
  }
  assert.equal(ids.size, Object.keys(payload.components).length);
});

/** Values that Home Assistant has lists of; it refuses the whole entity for any other. */
const CLASSES: Readonly<Record<string, Readonly<Record<string, readonly string[] | null>>>> = {
  // By device class: units that go with it; null: any, or none.
  sensor: {
    data_size: ['B', 'kB', 'MB', 'KiB', 'MiB'],
    duration: ['s', 'min', 'h', 'd'],
    temperature: ['°C', '°F', 'K'],
    enum: null,
  },
  binary_sensor: { occupancy: null, problem: null, door: null },
};

function checkValues(name: string, component: Readonly<Record<string, unknown>>): void {
  const { platform, device_class: kind, unit_of_measurement: unit } = component;
  if (kind !== undefined) {
    const classes = CLASSES[String(platform)] ?? {};
    assert.ok(String(kind) in classes, `${name}: ${kind}`);
    const units = classes[String(kind)];
    if (units) assert.ok(units.includes(String(unit)), `${name}: ${unit}`);
  }
  if ('entity_category' in component)
    assert.ok(['config', 'diagnostic'].includes(String(component.entity_category)), name);
  // Read-only platforms are never for configuring.
  if (platform === 'sensor' || platform === 'binary_sensor')
    assert.notEqual(component.entity_category, 'config', name);
  if ('state_class' in component)
    assert.ok(['measurement', 'total', 'total_increasing'].includes(String(component.state_class)), name);
  if ('qos' in component) assert.ok([0, 1, 2].includes(Number(component.qos)), name);
  if ('off_delay' in component) assert.ok(Number.isInteger(component.off_delay), name);
  for (const [key, topic] of Object.entries(component).filter(([one]) => one.endsWith('_topic')))
    assert.match(String(topic), /^[^+#\0]+$/, `${name}.${key}`);
}

test('without snapshots and doors their entities are not announced; a signed door is shown, not commanded', () => {
  const { components } = discoveryPayload({ ...ABOUT, snapshots: false, controls: false, doors: [] });
  const platforms = new Set(Object.values(components).map(({ platform }) => platform));
  assert.deepEqual([...platforms].sort(), ['binary_sensor', 'event', 'sensor']);
  assert.equal(discoveryPayload(ABOUT).components.lock_side?.platform, 'sensor');
  const noPictures = discoveryPayload({ ...ABOUT, snapshots: false }).components;
  assert.ok(noPictures.recognising !== undefined && noPictures.take_porch === undefined);
});

test('the announcement names nobody and speaks of topics that the catalogue has, retained where a state is kept', () => {
  const entries = new Map(CATALOGUE.map((entry) => [`faced/door/${entry.suffix}`, entry]));
  for (const [name, component] of Object.entries(discoveryPayload(ABOUT).components))
    for (const [key, topic] of Object.entries(component).filter(([one]) => one.endsWith('_topic'))) {
      const entry = entries.get(String(topic));
      assert.ok(entry, `${name}: ${topic}`);
      assert.equal(entry.from, key === 'command_topic' ? 'you' : 'faced');
    }
});

test('an id of a device is one that Home Assistant takes in a topic', () => {
  assert.equal(discoveryId('front-door'), 'faced_front-door');
  assert.match(discoveryId('Haustür 1'), /^faced_[0-9a-f]{12}$/);
  assert.notEqual(discoveryId('Haustür 1'), discoveryId('Haustür 2'));
});

/** Renders templates as Home Assistant does: Jinja in a sandbox, with the few of its own functions that are used. */
const RENDER = `
import json, sys, datetime
from jinja2.sandbox import ImmutableSandboxedEnvironment
env = ImmutableSandboxedEnvironment()
env.filters['to_json'] = json.dumps
env.globals['now'] = lambda: datetime.datetime.now().astimezone()
jobs = json.load(sys.stdin)
print(json.dumps([env.from_string(j['template']).render(**j['variables']) for j in jobs]))
`;
const PYTHON = ['/usr/bin/python3', 'python3'].find(
  (path) => spawnSync(path, ['-c', 'import jinja2'], { stdio: 'ignore' }).status === 0,
);
const withoutJinja = PYTHON === undefined ? 'needs python3-jinja2' : false;

function render(jobs: { template: unknown; variables: object }[]): string[] {
  const { stdout, stderr } = spawnSync(PYTHON ?? 'python3', ['-c', RENDER], {
    input: JSON.stringify(jobs),
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  return (JSON.parse(stdout) as string[]).map((one) => one.trim());
}

function example(suffix: string): Record<string, unknown> {
  return CATALOGUE.find((entry) => entry.suffix === suffix)?.examples[0] as Record<string, unknown>;
}

test('every template makes of the published examples what Home Assistant expects', {
  skip: withoutJinja,
}, () => {
  const { components } = discoveryPayload(ABOUT);
  const event = example('recognition');
  const unknown = { ...event, decision: 'unknown', person: null, similarity: null, camera: 'elsewhere' };
  const lockState = example('lock/state');
  const long = { ...lockState, doors: { front: { state: 'open too long', open: true } } };
  const cases: [string, string, object][] = [
    ['recognition', '', event],
    ['recognition', '', unknown],
    ['person', 'Ada', event],
    ['person', 'Grace', unknown],
    ['similarity', '0.71', event],
    ['similarity', 'None', unknown],
    ['face_porch', 'ON', event],
    ['face_porch', '', unknown],
    ['problem', 'OFF', example('health')],
    ['outbox', '0', example('health')],
    ['memory', '205.0', example('health')],
    ['uptime', '86412', example('health')],
    ['memory_level', 'enough', example('health')],
    ['memory_level', 'None', { ...example('health'), machine: { temperatureC: null, memoryLevel: null } }],
    ['temperature', '52.1', example('health')],
    ['fps_porch', '10', example('health')],
    ['fps_back-yard', 'None', example('health')],
    ['recognising', 'on', example('control/state')],
    ['people', '5', example('gallery')],
    ['samples', '23', example('gallery')],
    ['lock_front', 'unlocked', lockState],
    ['lock_front', 'unlocked', long],
    ['door_front', 'None', lockState],
    ['door_front', 'ON', long],
    ['access_side', '', example('lock/event')],
    ['access_front', '', example('lock/event')],
  ];
  const out = render(
    cases.map(([name, , value_json]) => ({
      template: components[name]?.value_template,
      variables: { value_json, this: { state: 'Grace' } },
    })),
  );
  for (const [at, [name, wanted]] of cases.entries())
    if (wanted !== '' || name === 'face_porch' || name === 'access_side') assert.equal(out[at], wanted, name);
  assert.deepEqual(JSON.parse(out[0] ?? ''), {
    event_type: 'known',
    id: event.id,
    camera: 'porch',
    person: 'Ada',
    person_id: (event.person as { id: string }).id,
    similarity: 0.71,
    liveness: 0.98,
    attributes: { glasses: { value: 'with', share: 0.97 } },
  });
  assert.equal((JSON.parse(out[1] ?? '') as { person: null }).person, null);
  assert.equal((JSON.parse(out.at(-1) ?? '') as { event_type: string }).event_type, 'granted');
});

test('each press of a button or switch makes a new command that fits the schema', {
  skip: withoutJinja,
}, () => {
  const { recognising, take_porch: shot } = discoveryPayload(ABOUT).components;
  const made = render([
    { template: recognising?.command_template, variables: { value: recognising?.payload_off } },
    { template: recognising?.command_template, variables: { value: recognising?.payload_on } },
    { template: shot?.command_template, variables: { value: 'PRESS' } },
    { template: shot?.command_template, variables: { value: 'PRESS' } },
  ]).map((text) => JSON.parse(text) as { id: string; exp: number; action: string; camera?: string });
  const valid = new Ajv({ strict: true }).compile(ControlSetSchema);
  for (const one of made) assert.ok(valid(one), JSON.stringify(one));
  assert.deepEqual(
    made.map(({ action, camera }) => [action, camera]),
    [
      ['pause', undefined],
      ['resume', undefined],
      ['snapshot', 'porch'],
      ['snapshot', 'porch'],
    ],
  );
  assert.equal(new Set(made.map(({ id }) => id)).size, 4);
});

test('each press of the lock makes a new command that fits the schema and the time', {
  skip: withoutJinja,
}, () => {
  const template = discoveryPayload(ABOUT).components.lock_front?.command_template;
  const made = render(Array.from({ length: 50 }, () => ({ template, variables: { value: 'unlock' } }))).map(
    (text) => JSON.parse(text) as { id: string; exp: number },
  );
  const valid = new Ajv({ strict: true }).compile(LockSetSchema);
  for (const one of made) {
    assert.ok(valid(one), JSON.stringify(one));
    assert.ok(Math.abs(one.exp - Date.now() / 1000 - 10) < 8);
  }
  assert.equal(new Set(made.map(({ id }) => id)).size, 50);
});

for (const { kind, skip } of BROKERS) {
  test(`${kind}: announced at the start, and again at Home Assistant's birth`, { skip }, async (t) => {
    const broker = await startBroker(t, kind);
    const ha = await listen(t, broker.url, [TOPIC]);
    const made = makeLink(t, { url: broker.url, ...broker.own, homeAssistant: OPTIONS });
    await startLink(made);
    await ha.until(() => ha.on(TOPIC).length === 1);
    for (let n = 0; n < 20; n++) await ha.client.publishAsync('homeassistant/status', 'online', { qos: 1 });
    await ha.client.publishAsync('homeassistant/status', 'offline', { qos: 1 });
    await ha.until(() => ha.on(TOPIC).length === 2);
    assert.deepEqual(JSON.parse(ha.on(TOPIC)[1] ?? ''), JSON.parse(JSON.stringify(discoveryPayload(ABOUT))));
    const late = await listen(t, broker.url, [TOPIC]);
    await late.until(() => late.received.length === 1);
    assert.equal(late.received[0]?.packet.retain, true);
    assert.equal(ha.on(TOPIC).length, 2, 'twenty births are one');
  });
}

test('what is no longer there is taken away by name; switched off, everything is', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const first = makeLink(t, { url: broker.url, homeAssistant: OPTIONS });
  const ha = await listen(t, broker.url, [TOPIC]);
  await startLink(first);
  await ha.until(() => ha.received.length === 1);
  await first.link.stop();
  const less = makeLink(t, { url: broker.url, homeAssistant: { ...OPTIONS, cameras: ['porch'], doors: [] } });
  await startLink(less);
  await ha.until(() => ha.received.length >= 4);
  const told = ha
    .on(TOPIC)
    .map((text) => (JSON.parse(text) as { components: Record<string, object> }).components);
  const removal = told.find((one) => Object.keys(one.lock_front ?? {}).length === 1);
  assert.deepEqual(removal?.['face_back-yard'], { platform: 'binary_sensor' });
  assert.deepEqual(removal?.lock_front, { platform: 'lock' });
  assert.equal(told.at(-1)?.lock_front, undefined);
  assert.ok(told.at(-1)?.face_porch);
  await less.link.stop();
  const off = makeLink(t, { url: broker.url, homeAssistant: { ...OPTIONS, enabled: false } });
  await startLink(off);
  await ha.until(() => ha.received.at(-1)?.payload.length === 0);
  await off.link.stop();
  const before = ha.received.length;
  const quiet = makeLink(t, { url: broker.url, homeAssistant: { ...OPTIONS, enabled: false } });
  await startLink(quiet);
  await quiet.link.stop();
  assert.equal(ha.received.length, before, 'nothing is said when nothing is there');
});

test('docs/home-assistant.md: every entity is in its table', () => {
  const page = readFileSync(join(ROOT, 'docs', 'home-assistant.md'), 'utf8');
  const entities = page
    .split('\n')
    .flatMap((line) => (line.startsWith('| `') ? [line.split('|')[1] ?? ''] : []));
  const words = new Set(
    entities
      .flatMap((text) => [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
      .map((name) => name.replace(/^(.*faced_front_door_|.*…|_)/, '').replace(/_<\w+>$/, '')),
  );
  const about = {
    ...ABOUT,
    device: 'front-door',
    cameras: ['porch'],
    doors: [{ id: 'front', commands: true }],
  };
  for (const name of Object.keys(discoveryPayload(about).components)) {
    assert.ok(words.has(name.replace(/_(porch|front)$/, '')), `${name} is missing`);
  }
});

test('docs/home-assistant.md: the automations use entities, topics and fields that there are', () => {
  const page = readFileSync(join(ROOT, 'docs', 'home-assistant.md'), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
  const automations = blocks.filter((text) => text.includes('triggers:'));
  assert.ok(automations.length >= 2);
  const { components } = discoveryPayload({ ...ABOUT, device: 'front-door' });
  const entities = new Map(Object.values(components).map((one) => [one.default_entity_id, one]));
  let checked = 0;
  for (const text of automations) {
    assert.ok(Array.isArray(parse(text)), 'a list of automations');
    for (const [entity] of text.matchAll(/\b(event|sensor|binary_sensor|lock)\.faced_[a-z0-9_]+/g)) {
      assert.ok(entities.has(entity), entity);
      checked++;
    }
    for (const [, suffix] of text.matchAll(/topic: faced\/front-door\/([a-z/]+)/g)) {
      const entry = CATALOGUE.find((one) => one.suffix === suffix);
      assert.ok(entry, suffix);
      for (const [, field = ''] of text.matchAll(/trigger\.payload_json\.(\w+)/g))
        assert.ok(field in (entry.examples[0] as object), field);
      checked++;
    }
    const template = String(entities.get('event.faced_front_door_recognition')?.value_template);
    for (const [, name = ''] of text.matchAll(/attributes\.(\w+)/g))
      assert.ok(template.includes(`'${name}':`), `attribute ${name}`);
  }
  assert.ok(checked >= 2);
});
