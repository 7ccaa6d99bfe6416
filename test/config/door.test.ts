import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { accessPolicyOf, doorOptionsOf, loadConfig } from '../../src/config/index.js';
import { FacedError } from '../../src/domain/errors.js';
import { mayPass } from '../../src/door/access.js';
import { DEFAULT_RULES } from '../../src/door/rules.js';
import { DEFAULT_SURE } from '../../src/door/sure.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

async function load(t: TestContext, text: string) {
  const path = join(await temporaryDir(t), 'faced.yaml');
  writeFileSync(path, text);
  return loadConfig({ path, env: {} }).config;
}

const PORCH = 'cameras: {porch: {source: "v4l2:/dev/video0"}}\n';
const door = (more: string) => `${PORCH}doors: {front: {lock: {driver: recorder}, ${more}}}\n`;

test('a door that says only what its lock is has the careful defaults', async (t) => {
  const { doors } = await load(t, 'doors: {front: {lock: {driver: recorder}}}');
  assert.ok(doors.front);
  const options = doorOptionsOf('front', doors.front, {
    trusted: [],
    stateDir: '/state',
    similarityAt: (rate) => (rate < 0.0001 ? 0.47 : 0.41),
  });
  const { lock, lockState: _, sure, id: __, ...rules } = options;
  const { sure: ___, grantMs: ____, ...careful } = DEFAULT_RULES;
  assert.deepEqual(rules, careful);
  assert.deepEqual(sure, { ...DEFAULT_SURE, minSimilarity: 0.47, claimSimilarity: 0.41 });
  assert.deepEqual(lock, { driver: 'recorder', file: '/state/lock-front.record', longestMs: 10_000 });
});

test('only a camera that is trusted and runs counts for a door', async (t) => {
  const { doors } = await load(
    t,
    'cameras: {porch: {source: "v4l2:/dev/video0"}, gate: {source: "rtsp://gate/1", trusted: door}}\n' +
      'doors: {front: {lock: {driver: recorder}, cameras: [porch, gate]}}',
  );
  assert.ok(doors.front);
  const around = { stateDir: '/state', similarityAt: () => 0.5 };
  const trusted = (running: string[]) =>
    doors.front && doorOptionsOf('front', doors.front, { ...around, trusted: running }).trustedCameras;
  assert.deepEqual(trusted(['gate', 'elsewhere']), ['gate']);
  assert.deepEqual(trusted([]), []);
});

const MISTAKES: readonly { readonly name: string; readonly text: string; readonly says: RegExp }[] = [
  { name: 'no driver', text: 'doors: {front: {}}', says: /doors\.front\.lock\.driver is missing/ },
  {
    name: 'a wire without its wiring',
    text: 'doors: {front: {lock: {driver: gpio}}}',
    says: /doors\.front\.lock\.line must be set[^\n]*\n\s+doors\.front\.lock\.whenPowerless must be set/,
  },
  {
    name: 'a lock of others without topics',
    text: 'doors: {front: {lock: {driver: mqtt, commandTopic: lock/set}}}',
    says: /doors\.front\.lock\.stateTopic must be set/,
  },
  {
    name: 'a topic of ours',
    text: 'doors: {front: {lock: {driver: mqtt, commandTopic: faced/x/lock/set, stateTopic: a}}}',
    says: /commandTopic must be a topic without wildcards, not under faced/,
  },
  {
    name: 'a pulse longer than its end',
    text: door('pulse: 20'),
    says: /doors\.front\.pulse must be at most lock\.longest/,
  },
  {
    name: 'a camera that is not there',
    text: door('cameras: [hall]'),
    says: /doors\.front\.cameras\[0\] must be a camera/,
  },
  {
    name: 'a camera over the network that nobody vouched for',
    text: 'cameras: {gate: {source: "rtsp://gate/1"}}\ndoors: {front: {lock: {driver: recorder}, cameras: [gate]}}',
    says: /set cameras\.gate\.trusted: door/,
  },
  {
    name: 'a clip that is called trusted',
    text: 'cameras: {clip: {source: "file:a.avi", trusted: door}}',
    says: /cameras\.clip\.trusted must not be door/,
  },
  {
    name: 'a camera that was told to open nothing',
    text: 'cameras: {p: {source: "csi:0", trusted: nothing}}\ndoors: {front: {lock: {driver: recorder}, cameras: [p]}}',
    says: /doors\.front\.cameras\[0\] must be a camera that is trusted/,
  },
  {
    name: 'a test that is not made',
    text: `${door('cameras: [porch], sure: {liveness: passive}')}liveness: {passive: "off", mode: active}`,
    says: /doors\.front\.sure\.liveness needs the passive test/,
  },
  {
    name: 'a mode that is none',
    text: door('modes: [smile]'),
    says: /modes\[0\] must be face, face\+code or code/,
  },
  {
    name: 'a door called all',
    text: 'doors: {all: {lock: {driver: recorder}}}',
    says: /doors\.all must not be called all/,
  },
  {
    name: 'a rule for a door that is not there',
    text: 'access: {rules: [{name: r, doors: [back], people: [Anna], when: always}]}',
    says: /access\.rules\[0\]\.doors must be doors of this file, or all \(is back\)/,
  },
  {
    name: 'a rule for nobody',
    text: 'access: {rules: [{name: r, doors: [all], when: always}]}',
    says: /access\.rules\[0\] must name people or groups/,
  },
  {
    name: 'a group that is not there',
    text: 'access: {rules: [{name: r, doors: [all], groups: [family], when: always}]}',
    says: /access\.rules\[0\]\.groups is wrong: there is no group family/,
  },
  { name: 'a zone that is none', text: 'access: {zone: Europe/Nowhere}', says: /access\.zone is wrong/ },
  {
    name: 'a day that is none',
    text: 'access: {holidays: ["02-30"]}',
    says: /access\.holidays\[0\] is wrong/,
  },
  {
    name: 'a guest whose time has no offset',
    text: 'access: {guests: [{person: Zoe, until: "2026-12-01T18:00"}]}',
    says: /access\.guests\[0\]\.until must be a time with its offset/,
  },
  {
    name: 'a guest who leaves before coming',
    text: 'access: {guests: [{person: Z, from: "2026-12-02T00:00Z", until: "2026-12-01T18:00Z"}]}',
    says: /access\.guests\[0\] is wrong: ends before it begins/,
  },
  {
    name: 'a time that is none',
    text: 'access: {rules: [{name: r, doors: [all], people: [A], when: [{days: [mon], from: "7:00", to: "25:00"}]}]}',
    says: /when\[0\]\.from must be a time of day/,
  },
];

for (const { name, text, says } of MISTAKES) {
  test(`refused with its path: ${name}`, async (t) => {
    await assert.rejects(load(t, text), (error) => {
      assert.ok(error instanceof FacedError);
      assert.equal(error.code, 'config.invalid');
      assert.match(error.message, says);
      return true;
    });
  });
}

test('the example of a door: groups, hours, holidays and a guest are what they say', () => {
  const { config } = loadConfig({ path: join(ROOT, 'docs', 'examples', 'door.yaml'), env: {} });
  const ids: Record<string, string> = { Anna: '1', Ben: '2', Carla: '3', Zoe: '4' };
  const policy = accessPolicyOf(config.access, (name) => ids[name]);
  const at = (person: string, time: string, synchronised = true) =>
    mayPass(policy, { person, door: 'front', wallMs: Date.parse(time), synchronised }).allowed;
  assert.ok(at('1', '2026-11-24T03:00:00+01:00', false), 'the family needs no clock');
  assert.ok(at('3', '2026-11-24T08:00:00+01:00'), 'a Tuesday');
  assert.ok(!at('3', '2026-11-24T11:30:00+01:00'), 'the end itself no longer counts');
  assert.ok(!at('3', '2026-11-24T09:00:00+01:00', false), 'a clock that nobody set opens no hours');
  assert.ok(!at('3', '2026-12-25T09:00:00+01:00'), 'a Friday that is a holiday');
  assert.ok(at('4', '2026-12-06T17:59:00+01:00'));
  assert.ok(!at('4', '2026-12-06T18:00:00+01:00'), 'the guest has left');
  assert.ok(!at('4', '2026-12-01T12:00:00+01:00', false), 'an end is a date');
  const strangers = accessPolicyOf(config.access, () => undefined);
  for (const person of Object.values(ids))
    assert.ok(!mayPass(strangers, { person, door: 'front', wallMs: 0, synchronised: true }).allowed);
});
