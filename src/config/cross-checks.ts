import { doorChecks } from './door-checks.js';
import { scheduleChecks } from './schedule.js';
import type { ConfigFile } from './schema.js';
import type { Mistake } from './sentences.js';

type Check = (config: ConfigFile) => Mistake | false;

const TLS = /^mqtts:/;

/** What no single setting can know. Each check looks at a configuration that fits the schema. */
const CHECKS: readonly Check[] = [
  ({ mqtt }) =>
    mqtt.cert !== null && mqtt.key === null && { path: 'mqtt.key', problem: 'must be set when mqtt.cert is' },
  ({ mqtt }) =>
    mqtt.key !== null && mqtt.cert === null && { path: 'mqtt.cert', problem: 'must be set when mqtt.key is' },
  ({ mqtt }) =>
    mqtt.passwordFile !== null &&
    mqtt.username === null && { path: 'mqtt.username', problem: 'must be set when mqtt.passwordFile is' },
  ({ mqtt }) =>
    (mqtt.ca !== null || mqtt.cert !== null) &&
    !TLS.test(mqtt.url ?? '') && {
      path: 'mqtt.url',
      problem: 'must begin with mqtts:// when a certificate is set (mqtt.ca, mqtt.cert)',
    },
  ({ http }) =>
    http.cert !== null && http.key === null && { path: 'http.key', problem: 'must be set when http.cert is' },
  ({ http }) =>
    http.key !== null && http.cert === null && { path: 'http.cert', problem: 'must be set when http.key is' },
  ({ liveness }) =>
    liveness.minimum !== null &&
    liveness.passive === 'off' && {
      path: 'liveness.minimum',
      problem: 'needs the passive test (liveness.passive: report)',
    },
];

const asksPassive = (mode: string): boolean => mode === 'passive' || mode === 'both';

/** A test that is asked for and never made would let nobody count as alive. */
function livenessChecks({ liveness, cameras }: ConfigFile): Mistake[] {
  if (liveness.passive !== 'off') return [];
  const asked = Object.entries(cameras)
    .filter(([, camera]) => asksPassive(camera.liveness))
    .map(([name]) => `cameras.${name}.liveness`);
  if (asksPassive(liveness.mode)) asked.unshift('liveness.mode');
  return asked.map((path) => ({ path, problem: 'needs the passive test (liveness.passive: report)' }));
}

export function crossChecks(config: ConfigFile): Mistake[] {
  const single = CHECKS.map((check) => check(config)).filter((found) => found !== false);
  return [...single, ...livenessChecks(config), ...doorChecks(config), ...scheduleChecks(config)];
}
