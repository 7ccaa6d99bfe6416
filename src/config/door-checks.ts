import { policyMistakes } from '../door/access.js';
import { canBeTrusted } from '../door/rules.js';
import { accessPolicyOf, isTrusted } from './door-options.js';
import type { ConfigFile, DoorConfig } from './schema.js';
import type { Mistake } from './sentences.js';

/** The name of the camera that is used when none is configured. */
const UNNAMED = 'camera';

/** What no single setting of a door can know. */
export function doorChecks(config: ConfigFile): Mistake[] {
  return [
    ...Object.entries(config.cameras).flatMap(([name, { trusted, source }]) =>
      trusted === 'door' && !canBeTrusted(source)
        ? [
            {
              path: `cameras.${name}.trusted`,
              problem: 'must not be door: a clip, a folder or the demo shows what anybody put there',
            },
          ]
        : [],
    ),
    ...Object.entries(config.doors).flatMap(([name, door]) =>
      [
        ...lockMistakes(door),
        ...cameraMistakes(door, config),
        ...(asksPassive(door) && config.liveness.passive === 'off'
          ? [{ path: 'sure.liveness', problem: 'needs the passive test (liveness.passive: report)' }]
          : []),
        ...(name === 'all'
          ? [{ path: '', problem: 'must not be called all: rules mean every door by it' }]
          : []),
      ].map(({ path, problem }) => ({ path: `doors.${name}${path === '' ? '' : `.${path}`}`, problem })),
    ),
    ...accessMistakes(config),
  ];
}

function asksPassive({ cameras, sure }: DoorConfig): boolean {
  return cameras.length > 0 && (sure.liveness === 'passive' || sure.liveness === 'both');
}

function lockMistakes({ lock, pulse }: DoorConfig): Mistake[] {
  const unsaid = (needed: Readonly<Record<string, unknown>>) =>
    Object.entries(needed)
      .filter(([, value]) => value === null)
      .map(([name]) => ({ path: `lock.${name}`, problem: `must be set for the driver ${lock.driver}` }));
  if (lock.driver === 'mqtt') return unsaid({ commandTopic: lock.commandTopic, stateTopic: lock.stateTopic });
  const tooLong =
    pulse > lock.longest
      ? [{ path: 'pulse', problem: `must be at most lock.longest (${lock.longest})` }]
      : [];
  return lock.driver === 'gpio'
    ? [...unsaid({ line: lock.line, whenPowerless: lock.whenPowerless }), ...tooLong]
    : tooLong;
}

function cameraMistakes(door: DoorConfig, { cameras }: ConfigFile): Mistake[] {
  return door.cameras.flatMap((name, index) => {
    const path = `cameras[${index}]`;
    const camera = Object.hasOwn(cameras, name) ? cameras[name] : undefined;
    if (camera === undefined) {
      const found = name === UNNAMED && Object.keys(cameras).length === 0;
      return found ? [] : [{ path, problem: `must be a camera of this file (is ${name})` }];
    }
    if (isTrusted(camera)) return [];
    return [
      { path, problem: `must be a camera that is trusted with a door (set cameras.${name}.trusted: door)` },
    ];
  });
}

function accessMistakes({ access, doors }: ConfigFile): Mistake[] {
  const unknownDoors = access.rules.flatMap((rule, index) => {
    const wrong = rule.doors.filter((door) => door !== 'all' && !Object.hasOwn(doors, door));
    const nobody = (rule.people ?? []).length === 0 && (rule.groups ?? []).length === 0;
    return [
      ...wrong.map((door) => ({
        path: `access.rules[${index}].doors`,
        problem: `must be doors of this file, or all (is ${door})`,
      })),
      ...(nobody ? [{ path: `access.rules[${index}]`, problem: 'must name people or groups' }] : []),
    ];
  });
  const dates = access.guests.flatMap(({ from, until }, index) =>
    [from ?? until, until].some((text) => Number.isNaN(Date.parse(text)))
      ? [{ path: `access.guests[${index}]`, problem: 'must have dates that exist' }]
      : [],
  );
  // Whoever is named is nobody yet: the gallery is not open while a configuration is checked.
  const others = policyMistakes(accessPolicyOf(access, (person) => person)).map((sentence) => {
    const [path = '', ...rest] = sentence.split(': ');
    return { path: `access.${path}`, problem: `is wrong: ${rest.join(': ')}` };
  });
  return [...unknownDoors, ...dates, ...others];
}
