import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

const UNITS = join(ROOT, 'systemd');
const services = readdirSync(UNITS).filter((name) => name.endsWith('.service'));
const skip =
  spawnSync('systemd-analyze', ['--version']).error === undefined ? false : 'needs systemd-analyze';

/** Exposure at most, in tenths. The clocks belong to root and vendor's programs, which take what they need of /sys. */
const EXPOSURE: Readonly<Record<string, number>> = {
  'faced.service': 20,
  'faced-tensorrt.service': 20,
  'faced-csi.service': 20,
  'faced-clocks.service': 30,
};

/** The units of a Jetson's host. JetPack 4.6 has systemd 237, which passes over what it does not know. */
const JETPACK = ['faced-tensorrt.service', 'faced-csi.service', 'faced-clocks.service'];
const JETPACK_SYSTEMD = 237;

/**
 * What these units use, with the release of systemd that brought it, by systemd's NEWS; 0 stands for long before (its
 * first years, of which NEWS keeps no record). A directive that is not here has to be looked up first.
 */
const SINCE: Readonly<Record<string, number>> = {
  After: 0,
  AmbientCapabilities: 229,
  CapabilityBoundingSet: 0,
  ConditionPathExists: 0,
  Description: 0,
  Environment: 0,
  ExecStart: 0,
  ExecStartPre: 0,
  ExecStop: 0,
  Group: 0,
  IPAddressDeny: 235,
  KeyringMode: 235,
  LockPersonality: 235,
  NoNewPrivileges: 187,
  NotifyAccess: 0,
  PrivateNetwork: 0,
  PrivateTmp: 0,
  ProtectControlGroups: 232,
  ProtectHome: 214,
  ProtectKernelModules: 232,
  ProtectKernelTunables: 232,
  ProtectSystem: 214,
  RemainAfterExit: 0,
  RemoveIPC: 232,
  Restart: 0,
  RestartSec: 0,
  RestrictAddressFamilies: 211,
  RestrictNamespaces: 233,
  RestrictRealtime: 231,
  RuntimeDirectory: 211,
  RuntimeDirectoryMode: 211,
  RuntimeDirectoryPreserve: 235,
  StartLimitBurst: 229,
  StartLimitIntervalSec: 230,
  SupplementaryGroups: 0,
  SystemCallArchitectures: 209,
  SystemCallErrorNumber: 209,
  SystemCallFilter: 209,
  TimeoutStartSec: 188,
  TimeoutStopSec: 188,
  Type: 0,
  UMask: 0,
  User: 0,
  WantedBy: 0,
  Wants: 0,
  WatchdogSec: 183,
};

/** Groups of system calls that 237 has. `@system-service` came with 239; a list of unknown groups allows nothing. */
const CALL_GROUPS = new Set(
  '@clock @cpu-emulation @debug @keyring @module @mount @obsolete @privileged @raw-io @reboot @resources @swap'.split(
    ' ',
  ),
);

function directives(unit: string): { key: string; value: string }[] {
  return readFileSync(join(UNITS, unit), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const found = /^([A-Za-z]+)=(.*)$/.exec(line);
      return found === null ? [] : [{ key: found[1] ?? '', value: found[2] ?? '' }];
    });
}

test('every unit is held to a limit', () => {
  assert.deepEqual([...services].sort(), Object.keys(EXPOSURE).sort());
});

for (const unit of services) {
  test(`systemd finds no fault in ${unit} but that its programs are not installed`, { skip }, () => {
    const { stderr } = spawnSync('systemd-analyze', ['verify', join(UNITS, unit)], { encoding: 'utf8' });
    const faults = stderr
      .split('\n')
      .filter((line) => line !== '' && !/is not executable: No such file or directory$/.test(line));
    assert.deepEqual(faults, []);
  });

  test(`what ${unit} may do is rated within its limit`, { skip }, () => {
    const rate = (tenths: number) =>
      spawnSync(
        'systemd-analyze',
        ['security', '--offline=true', '--no-pager', `--threshold=${tenths}`, join(UNITS, unit)],
        { encoding: 'utf8' },
      );
    const limit = EXPOSURE[unit] ?? 0;
    const rated = rate(limit);
    assert.match(rated.stdout, /Overall exposure level for \S+: \d/);
    assert.equal(rated.status, 0, rated.stdout.split('\n').slice(-3).join('\n'));
    assert.notEqual(rate(limit - 10).status, 0, 'the limit is looked at');
  });
}

for (const unit of JETPACK) {
  test(`systemd ${JETPACK_SYSTEMD} knows every line of ${unit}`, () => {
    const found = directives(unit);
    assert.ok(found.length > 10);
    for (const { key, value } of found) {
      const since = SINCE[key];
      assert.ok(since !== undefined, `look up in systemd's NEWS which release brought ${key}=`);
      assert.ok(since <= JETPACK_SYSTEMD, `${key}= came with systemd ${since}`);
      if (key !== 'SystemCallFilter') continue;
      for (const group of value.replace(/^~/, '').split(' '))
        assert.ok(CALL_GROUPS.has(group), `systemd ${JETPACK_SYSTEMD} has no group ${group}`);
    }
    // With values that came later the line is passed over as well.
    assert.ok(!found.some(({ key, value }) => key === 'Type' && /^(exec|notify-reload)$/.test(value)));
  });
}

test('with its drop-ins, as the package installs it, faced.service is no worse', { skip }, async (t) => {
  const dir = await temporaryDir(t);
  const unit = join(dir, 'faced.service');
  const dropIns = join(dir, 'faced.service.d');
  mkdirSync(dropIns);
  copyFileSync(join(UNITS, 'faced.service'), unit);
  for (const name of ['faced-package.conf', 'gallery-key.conf', 'raspberrypi.conf'])
    copyFileSync(join(UNITS, name), join(dropIns, name));
  const { stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
  assert.doesNotMatch(stderr, /\.conf/);
  const rated = spawnSync(
    'systemd-analyze',
    ['security', '--offline=true', '--no-pager', '--threshold=20', unit],
    { encoding: 'utf8' },
  );
  assert.match(rated.stdout, /static non-root user/, 'the drop-ins were looked at');
  assert.equal(rated.status, 0);
});

test('the drop-ins name what the daemon looks for', () => {
  assert.match(readFileSync(join(UNITS, 'gallery-key.conf'), 'utf8'), /^LoadCredential=faced\.key:/m);
  assert.match(readFileSync(join(UNITS, 'faced.service'), 'utf8'), /^Type=notify$(.|\n)*^NotifyAccess=all$/m);
});

test('systemd ends the daemon alone: with its holder it would leave a line as it is, in the middle of a pulse', () => {
  const unit = readFileSync(join(UNITS, 'faced.service'), 'utf8');
  assert.match(unit, /^KillMode=process$/m);
  assert.match(unit, /^ExecStopPost=-\/opt\/faced\/systemd\/leftovers\.sh$/m);
  assert.ok((statSync(join(UNITS, 'leftovers.sh')).mode & 0o111) === 0o111, 'it can be executed');
});
