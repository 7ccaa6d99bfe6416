import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Board, describeBoard, readBoard } from '../../src/system/board.js';
import { temporaryDir } from '../helpers/dirs.js';

/** What these boards' kernels and systems say, put down from their public descriptions. */
const BOARDS: readonly {
  name: string;
  arch: string;
  files: Readonly<Record<string, string>>;
  is: Partial<Board>;
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
      'proc/cpuinfo': arm('0xd0b', 'fp asimd evtstrm aes crc32 atomics fphp asimdhp cpuid asimddp', 4),
    },
    is: { profile: 'arm64', processor: 'Cortex-A76', features: ['asimddp', 'asimdhp', 'asimd'] },
  },
  {
    name: 'a Jetson Nano with JetPack 4.6',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'NVIDIA Jetson Nano Developer Kit\0',
      'proc/device-tree/compatible': 'nvidia,p3450-0000\0nvidia,jetson-nano\0nvidia,tegra210\0',
      'proc/cpuinfo': arm('0xd07', 'fp asimd evtstrm aes pmull sha1 sha2 crc32', 4),
      'etc/nv_tegra_release':
        '# R32 (release), REVISION: 7.1, GCID: 1, BOARD: t210ref, EABI: aarch64, DATE: Sat Feb 19 17:05:08 UTC 2022\n',
      'etc/os-release': 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 18.04.6 LTS"\n',
      'dev/nvhost-gpu': '',
    },
    is: {
      profile: 'jetson-nano',
      l4t: '32.7.1',
      processor: 'Cortex-A57',
      userland: 'Ubuntu 18.04.6 LTS',
      accelerators: ['NVIDIA GPU (Tegra)'],
    },
  },
  {
    name: 'a container on a Jetson Nano, without the device tree',
    arch: 'arm64',
    files: {
      'etc/nv_tegra_release': '# R32 (release), REVISION: 6.1, GCID: 1, BOARD: t210ref, EABI: aarch64\n',
    },
    is: { profile: 'jetson-nano', model: null, l4t: '32.6.1' },
  },
  {
    name: 'a Jetson Orin Nano with JetPack 6',
    arch: 'arm64',
    files: {
      'proc/device-tree/model': 'NVIDIA Jetson Orin Nano Developer Kit\0',
      'proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0',
      'proc/cpuinfo': arm('0xd42', 'fp asimd evtstrm aes atomics fphp asimdhp cpuid asimddp', 6),
      'etc/nv_tegra_release': '# R36 (release), REVISION: 4.0, GCID: 1, BOARD: generic, EABI: aarch64\n',
      'dev/nvgpu': '',
    },
    is: { profile: 'jetson-orin', cores: 6, processor: 'Cortex-A78AE', l4t: '36.4.0' },
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

function arm(part: string, features: string, cores: number): string {
  return Array.from(
    { length: cores },
    (_, at) =>
      `processor\t: ${at}\nFeatures\t: ${features}\nCPU implementer\t: 0x41\nCPU part\t: ${part}\n\n`,
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

for (const { name, arch, files, is } of BOARDS) {
  test(`recognised: ${name}`, async (t) => {
    const board = readBoard(await rootWith(t, files), arch);
    const told = Object.fromEntries(Object.keys(is).map((key) => [key, board[key as keyof Board]]));
    assert.deepEqual(told, is);
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
