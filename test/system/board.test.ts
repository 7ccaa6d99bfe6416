import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Board, boardProblem, describeBoard, PROFILES, readBoard } from '../../src/system/board.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

/** NVIDIA's kernels name every core like this, before its part. */
const TEGRA = 'model name\t: ARMv8 Processor rev 1 (v8l)\n';

/** What these boards' kernels and systems say, put down from their public descriptions. */
const BOARDS: readonly {
  name: string;
  arch: string;
  files: Readonly<Record<string, string>>;
  is: Partial<Board>;
  /** What `faced doctor` has to say of it. */
  problem?: RegExp;
}[] = [
  {
    name: 'a Raspberry Pi 4 Model B with Raspberry Pi OS',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
      'proc/device-tree/compatible': 'raspberrypi,4-model-b\0brcm,bcm2711\0',
      'proc/cpuinfo': arm('0xd08', 'fp asimd evtstrm crc32 cpuid', 4),
      'proc/meminfo': 'MemTotal:        3884360 kB\nMemAvailable:    3300000 kB\n',
      'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
      'dev/video10': '',
    },
    is: {
      profile: 'pi4',
      model: 'Raspberry Pi 4 Model B Rev 1.4',
      cores: 4,
      processor: 'Cortex-A72',
      features: ['asimd'],
      memory: 3884360 * 1024,
      userland: 'Debian GNU/Linux 12 (bookworm)',
      l4t: null,
      accelerators: ['VideoCore codec'],
    },
  },
  {
    name: 'a Raspberry Pi 4 Model B with 8 GB, in a container that is shown no device tree',
    arch: 'arm64',
    files: {
      'proc/cpuinfo': `${arm('0xd08', 'fp asimd evtstrm crc32 cpuid', 4)}Hardware\t: BCM2835\nRevision\t: d03114\nSerial\t\t: 10000000deadbeef\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n`,
      'proc/meminfo': 'MemTotal:        8000000 kB\nMemAvailable:    7300000 kB\n',
    },
    is: {
      profile: 'pi4',
      model: 'Raspberry Pi 4 Model B Rev 1.4',
      compatible: [],
      processor: 'Cortex-A72',
      memory: 8000000 * 1024,
    },
  },
  {
    name: 'a Raspberry Pi 4 Model B with 2 GB and a 32-bit user land on its 64-bit kernel',
    arch: 'arm',
    files: {
      'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.5\0',
      'proc/device-tree/compatible': 'raspberrypi,4-model-b\0brcm,bcm2711\0',
      'proc/cpuinfo':
        'processor\t: 0\nmodel name\t: ARMv7 Processor rev 3 (v7l)\nFeatures\t: half thumb neon vfpv4 crc32\nCPU part\t: 0xd08\n',
      'proc/meminfo': 'MemTotal:        1900000 kB\nMemAvailable:    1500000 kB\n',
      'etc/os-release': 'PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\n',
    },
    is: { profile: 'pi4', arch: 'arm', processor: 'Cortex-A72', features: [], memory: 1900000 * 1024 },
    problem: /for arm, .* 64 bits.*Raspberry Pi OS \(64-bit\)/,
  },
  {
    name: 'a Raspberry Pi Compute Module 4, by its chip',
    arch: 'arm64',
    files: {
      'sys/firmware/devicetree/base/model': 'Raspberry Pi Compute Module 4 Rev 1.0\0',
      'sys/firmware/devicetree/base/compatible': 'raspberrypi,4-compute-module\0brcm,bcm2711\0',
    },
    is: { profile: 'pi4', model: 'Raspberry Pi Compute Module 4 Rev 1.0' },
  },
  {
    name: 'a Raspberry Pi 5: another chip, with dot products',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'Raspberry Pi 5 Model B Rev 1.0\0',
      'proc/device-tree/compatible': 'raspberrypi,5-model-b\0brcm,bcm2712\0',
      'proc/cpuinfo': arm(
        '0xd0b',
        'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp',
        4,
      ),
    },
    is: { profile: 'arm64', processor: 'Cortex-A76', features: ['asimddp', 'asimdhp', 'asimd'] },
  },
  {
    name: 'a Raspberry Pi Zero 2 W: 512 MB',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'Raspberry Pi Zero 2 W Rev 1.0\0',
      'proc/device-tree/compatible': 'raspberrypi,model-zero-2-w\0brcm,bcm2837\0',
      'proc/cpuinfo': arm('0xd03', 'fp asimd evtstrm crc32 cpuid', 4),
      'proc/meminfo': 'MemTotal:         430000 kB\nMemAvailable:     250000 kB\n',
    },
    is: { profile: 'arm64', processor: 'Cortex-A53', cores: 4, memory: 430000 * 1024 },
  },
  {
    name: 'a Jetson Nano (B01) with JetPack 4.6.1',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'NVIDIA Jetson Nano Developer Kit\0',
      'proc/device-tree/compatible':
        'nvidia,p3449-0000-b00+p3448-0000-b00\0nvidia,jetson-nano\0nvidia,tegra210\0',
      'proc/cpuinfo': arm('0xd07', 'fp asimd evtstrm aes pmull sha1 sha2 crc32', 4, TEGRA),
      'etc/nv_tegra_release':
        '# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64, DATE: Sat Feb 19 17:05:08 UTC 2022\n',
      'etc/os-release': 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 18.04.6 LTS"\n',
      'dev/nvhost-gpu': '',
    },
    is: {
      profile: 'jetson-nano',
      l4t: '32.7.1',
      cores: 4,
      processor: 'Cortex-A57',
      features: ['asimd'],
      userland: 'Ubuntu 18.04.6 LTS',
      accelerators: ['NVIDIA GPU (Tegra)'],
    },
  },
  {
    name: 'a Jetson Nano with a JetPack whose TensorRT is too old',
    arch: 'arm64',
    files: {
      'proc/device-tree/compatible': 'nvidia,p3450-0000\0nvidia,tegra210\0',
      'etc/nv_tegra_release':
        '# R32 (release), REVISION: 5.1, GCID: 26202423, BOARD: t210ref, EABI: aarch64\n',
    },
    is: { profile: 'jetson-nano', l4t: '32.5.1' },
    problem: /L4T 32\.5\.1 is older.*JetPack 4\.6\.1 or later/,
  },
  {
    name: 'a container on a Jetson Nano, without the device tree',
    arch: 'arm64',
    files: {
      'etc/nv_tegra_release':
        '# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64\n',
    },
    is: { profile: 'jetson-nano', model: null, l4t: '32.7.1' },
  },
  {
    name: 'a Jetson TX2: release 32 too, and no Nano',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'quill\0',
      'proc/device-tree/compatible': 'nvidia,p2597-0000+p3310-1000\0nvidia,tegra186\0',
      'etc/nv_tegra_release': '# R32 (release), REVISION: 7.6, GCID: 38171779, BOARD: t186ref\n',
    },
    is: { profile: 'arm64', l4t: '32.7.6' },
  },
  {
    name: 'a Jetson Orin Nano with JetPack 5',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'NVIDIA Orin Nano Developer Kit\0',
      'proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0',
      'proc/cpuinfo': arm('0xd42', 'fp asimd evtstrm aes atomics fphp asimdhp cpuid asimddp', 6, TEGRA),
      'etc/nv_tegra_release':
        '# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, DATE: Tue Aug  1 19:57:35 UTC 2023\n',
      'dev/nvhost-gpu': '',
    },
    is: { profile: 'jetson-orin', l4t: '35.4.1', accelerators: ['NVIDIA GPU (Tegra)'] },
  },
  {
    name: 'a Jetson Orin Nano Super with JetPack 6',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0',
      'proc/device-tree/compatible':
        'nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0',
      'proc/cpuinfo': arm('0xd42', 'fp asimd evtstrm aes atomics fphp asimdhp cpuid asimddp', 6, TEGRA),
      'etc/nv_tegra_release':
        '# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n',
      'dev/nvgpu': '',
      'dev/nvidia0': '',
    },
    is: {
      profile: 'jetson-orin',
      cores: 6,
      processor: 'Cortex-A78AE',
      l4t: '36.4.3',
      accelerators: ['NVIDIA GPU (Tegra)'],
    },
  },
  {
    name: 'another Arm board: a chip that is not known',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'Radxa ROCK Pi 4B\0',
      'proc/device-tree/compatible': 'radxa,rockpi4b\0radxa,rockpi4\0rockchip,rk3399\0',
      'proc/cpuinfo': arm('0xd03', 'fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid', 6),
    },
    is: { profile: 'arm64', model: 'Radxa ROCK Pi 4B', l4t: null, accelerators: [] },
  },
  {
    name: 'a virtual machine',
    arch: 'x64',
    files: {
      'sys/class/dmi/id/sys_vendor': 'QEMU\n',
      'sys/class/dmi/id/product_name': 'Standard PC (Q35 + ICH9, 2009)\n',
      'proc/cpuinfo': 'processor\t: 0\nmodel name\t: QEMU Virtual CPU version 2.5+\nflags\t\t: fpu sse2\n',
    },
    is: { profile: 'x64', model: 'QEMU Standard PC (Q35 + ICH9, 2009)', cores: 1, features: [] },
  },
  {
    name: 'a PC',
    arch: 'x64',
    files: {
      'sys/class/dmi/id/sys_vendor': 'LENOVO\n',
      'sys/class/dmi/id/product_name': '10AAS0\n',
      'proc/cpuinfo':
        'processor\t: 0\nmodel name\t: Some CPU @ 2.9GHz\nflags\t\t: fpu sse2 avx2 avx512f avx512_vnni\n\nprocessor\t: 1\n',
    },
    is: {
      profile: 'x64',
      model: 'LENOVO 10AAS0',
      cores: 2,
      processor: 'Some CPU @ 2.9GHz',
      features: ['avx512_vnni', 'avx512f', 'avx2'],
      accelerators: [],
    },
  },
];

function arm(part: string, features: string, cores: number, named = ''): string {
  return Array.from(
    { length: cores },
    (_, at) =>
      `processor\t: ${at}\n${named}BogoMIPS\t: 38.40\nFeatures\t: ${features}\nCPU implementer\t: 0x41\nCPU part\t: ${part}\n\n`,
  ).join('');
}

async function rootWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await temporaryDir(t);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

for (const { name, arch, files, is, problem } of BOARDS) {
  test(`recognised: ${name}`, async (t) => {
    const board = readBoard(await rootWith(t, files), arch);
    const told = Object.fromEntries(Object.keys(is).map((key) => [key, board[key as keyof Board]]));
    assert.deepEqual(told, is);
    const found = boardProblem(board);
    if (problem === undefined) assert.equal(found, null);
    else assert.match(`${found?.detail} ${found?.fix}`, problem);
    assert.match(describeBoard(board), new RegExp(`Profile ${board.profile}: .*frames a second$`));
  });
}

test('a machine that says nothing still has a profile, and a line for people', async (t) => {
  const board = readBoard(await temporaryDir(t), 'arm64');
  assert.equal(board.profile, 'arm64');
  assert.deepEqual([board.model, board.processor, board.memory, board.l4t], [null, null, null, null]);
  assert.match(
    describeBoard(board),
    /^a machine without a name; .*no accelerator\. Profile arm64: int8 models/,
  );
});

test('the table of profiles in docs/boards.md is what the program has', () => {
  const text = readFileSync(join(ROOT, 'docs', 'boards.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z0-9-]+)`\s*\|[^|]+\|([^\n]+)\|$/gm)].map((row) => [
    row[1],
    row[2]?.split('|').map((cell) => cell.trim()),
  ]);
  assert.deepEqual(
    rows,
    Object.entries(PROFILES).map(([name, { variant, backend, threads, frame, fps }]) => [
      name,
      [variant, backend, String(threads), `${frame.width}x${frame.height}`, String(fps)],
    ]),
  );
});
