import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { memoryFigures } from './memory.js';

export type ProfileName = 'pi4' | 'jetson-nano' | 'jetson-orin' | 'arm64' | 'x64';

/** What the machine says of itself. null where it says nothing. */
export interface Board {
  readonly profile: ProfileName;
  /** By its own name: of the device tree, else of the firmware. */
  readonly model: string | null;
  /** Of the device tree, the nearest name first. */
  readonly compatible: readonly string[];
  /** `x64`, `arm64`: of this process, which is the user land's. */
  readonly arch: string;
  readonly cores: number;
  /** The processor by its marketing name, or the core's by its part number (Arm). */
  readonly processor: string | null;
  /** Those of the instruction sets that make models faster that it has. */
  readonly features: readonly string[];
  /** Bytes. */
  readonly memory: number | null;
  /** Of /etc/os-release. */
  readonly userland: string | null;
  /** NVIDIA's release of the board's software, `32.7.1`; null elsewhere. */
  readonly l4t: string | null;
  readonly accelerators: readonly string[];
}

/** What follows from a board where the configuration says nothing. */
export interface Profile {
  /** Which form of the models is tried first; it runs where `faced model verify` has accepted it. */
  readonly variant: 'float' | 'int8';
  /** What runs the recogniser first; ONNX Runtime stands by. */
  readonly backend: 'onnxruntime' | 'tensorrt';
  /** Threads of one run of a model. */
  readonly threads: number;
  /** What a camera on a wire is asked for. */
  readonly frame: { readonly width: number; readonly height: number };
  /** Frames looked at, a second. */
  readonly fps: number;
}

/**
 * Four small cores answer sooner with two threads a model, and leave two for the camera and the rest. None of the boards'
 * figures has been measured on the board (docs/boards.md).
 */
export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  pi4: {
    variant: 'int8',
    backend: 'onnxruntime',
    threads: 2,
    frame: { width: 640, height: 480 },
    fps: 10,
  },
  'jetson-nano': {
    variant: 'int8',
    backend: 'tensorrt',
    threads: 2,
    frame: { width: 1280, height: 720 },
    fps: 10,
  },
  'jetson-orin': {
    variant: 'float',
    backend: 'tensorrt',
    threads: 2,
    frame: { width: 1280, height: 720 },
    fps: 15,
  },
  arm64: {
    variant: 'int8',
    backend: 'onnxruntime',
    threads: 1,
    frame: { width: 640, height: 480 },
    fps: 10,
  },
  x64: {
    variant: 'float',
    backend: 'onnxruntime',
    threads: 1,
    frame: { width: 640, height: 480 },
    fps: 10,
  },
};

/** Instruction sets by their names in /proc/cpuinfo: 8-bit dot products, vectors, half precision. */
const TELLING = ['asimddp', 'i8mm', 'asimdhp', 'asimd', 'avx512_vnni', 'avx_vnni', 'avx512f', 'avx2'];

/** CPU part of an Arm core (Arm's MIDR_EL1, bits 15 to 4; implementer 0x41). */
const ARM_CORES: Readonly<Record<string, string>> = {
  '0xd03': 'Cortex-A53',
  '0xd05': 'Cortex-A55',
  '0xd07': 'Cortex-A57',
  '0xd08': 'Cortex-A72',
  '0xd0b': 'Cortex-A76',
  '0xd42': 'Cortex-A78AE',
};

/** Chips by which a board is known, in the device tree's `compatible`. */
const CHIPS: readonly (readonly [string, ProfileName])[] = [
  ['brcm,bcm2711', 'pi4'],
  ['nvidia,tegra210', 'jetson-nano'],
  ['nvidia,tegra234', 'jetson-orin'],
];

/**
 * Recognises the board. Everything is read from files, so it needs no rights and takes a millisecond.
 * @param root where /proc, /sys, /etc and /dev are, for tests
 * @param arch of the process, for tests
 */
export function readBoard(root = '/', arch: string = process.arch): Board {
  const compatible = deviceTree(root, 'compatible');
  const cpuinfo = text(root, 'proc/cpuinfo') ?? '';
  const l4t = l4tRelease(text(root, 'etc/nv_tegra_release'));
  return {
    profile: profileOf({ compatible, l4t, arch, cpuinfo }),
    model: deviceTree(root, 'model')[0] ?? modelLine(cpuinfo) ?? firmwareName(root),
    compatible,
    arch,
    cores: [...cpuinfo.matchAll(/^processor\s*:/gm)].length || cpus().length,
    processor: processorOf(cpuinfo),
    features: featuresOf(cpuinfo),
    memory: memoryFigures(root).total,
    userland: userlandOf(text(root, 'etc/os-release')),
    l4t,
    accelerators: acceleratorsOf(root, compatible),
  };
}

interface ProfileFacts {
  readonly compatible: readonly string[];
  readonly l4t: string | null;
  readonly arch: string;
  readonly cpuinfo: string;
}

function profileOf({ compatible, l4t, arch, cpuinfo }: ProfileFacts): ProfileName {
  if (!arch.startsWith('arm')) return 'x64';
  const chip = CHIPS.find(([name]) => compatible.includes(name));
  if (chip !== undefined) return chip[1];
  // Containers are shown no device tree. NVIDIA's own file may be there: release 32 is the last for Tegra X1.
  if (l4t !== null && compatible.length === 0) {
    if (l4t.startsWith('32.')) return 'jetson-nano';
    if (Number(l4t.split('.')[0]) >= 34) return 'jetson-orin';
  }
  // A Raspberry Pi's kernel names the board at the end of cpuinfo as well.
  if (/^Raspberry Pi (4|400|Compute Module 4)\b/.test(modelLine(cpuinfo) ?? '')) return 'pi4';
  return 'arm64';
}

function modelLine(cpuinfo: string): string | null {
  return /^Model\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.trim() ?? null;
}

/** A property of the device tree's root: texts that end with a zero byte (Devicetree Specification 2.2.4). */
function deviceTree(root: string, property: string): string[] {
  const found =
    text(root, `proc/device-tree/${property}`) ?? text(root, `sys/firmware/devicetree/base/${property}`);
  return (found ?? '').split('\0').filter((one) => one !== '');
}

function firmwareName(root: string): string | null {
  const name = ['sys_vendor', 'product_name']
    .map((part) => text(root, `sys/class/dmi/id/${part}`)?.trim() ?? '')
    .filter((part) => part !== '')
    .join(' ');
  return name === '' ? null : name;
}

/** `# R32 (release), REVISION: 7.1, …` as 32.7.1. */
function l4tRelease(file: string | null): string | null {
  const found = /^# R(\d+) \(release\), REVISION: ([\d.]+)/m.exec(file ?? '');
  return found === null ? null : `${found[1]}.${found[2]}`;
}

function processorOf(cpuinfo: string): string | null {
  // Before the name: a Jetson's kernel names every core `ARMv8 Processor`.
  const part = /^CPU part\s*:\s*(0x[0-9a-f]+)$/m.exec(cpuinfo)?.[1];
  if (part !== undefined) return ARM_CORES[part] ?? `Arm core ${part}`;
  return /^model name\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.trim() ?? null;
}

function featuresOf(cpuinfo: string): string[] {
  const words = new Set(/^(?:Features|flags)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(/\s+/) ?? []);
  return TELLING.filter((one) => words.has(one));
}

function userlandOf(file: string | null): string | null {
  return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(file ?? '')?.[1] ?? null;
}

function acceleratorsOf(root: string, compatible: readonly string[]): string[] {
  const found: string[] = [];
  // An Orin has nvidia0 too, for its display.
  if (existsSync(join(root, 'dev/nvhost-gpu')) || existsSync(join(root, 'dev/nvgpu')))
    found.push('NVIDIA GPU (Tegra)');
  else if (existsSync(join(root, 'dev/nvidia0'))) found.push('NVIDIA GPU');
  if (existsSync(join(root, 'dev/nvhost-nvdla0'))) found.push('NVIDIA DLA');
  // The Pi's: they decode and scale pictures; no model runs on them.
  if (compatible.some((one) => one.startsWith('brcm,')) && names(root, 'dev').includes('video10'))
    found.push('VideoCore codec');
  for (const name of names(root, 'sys/class/apex')) found.push(`Edge TPU ${name}`);
  return found;
}

function names(root: string, folder: string): string[] {
  try {
    return readdirSync(join(root, folder));
  } catch {
    return [];
  }
}

function text(root: string, path: string): string | null {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return null;
  }
}

/** What about this board faced cannot work with, and the mend; null when nothing is known to be wrong. */
export function boardProblem({ arch, profile, l4t }: Board): { detail: string; fix: string } | null {
  if (!['x64', 'arm64'].includes(arch))
    return {
      detail: `the user land is for ${arch}, and the runtime of the models needs 64 bits`,
      fix: 'Install a 64-bit system: on a Raspberry Pi 3 or later, Raspberry Pi OS (64-bit).',
    };
  const [release = 0, revision = 0] = (l4t ?? '').split('.').map(Number);
  // TensorRT came with L4T 32.5 as 7.1, with 32.6 as 8.0 and with 32.7 as 8.2 (NVIDIA's JetPack archive).
  if (profile === 'jetson-nano' && l4t !== null && (release < 32 || (release === 32 && revision < 7)))
    return {
      detail: `L4T ${l4t} is older than what faced-tensorrt is built for`,
      fix: 'Install JetPack 4.6.1 or later (L4T 32.7, TensorRT 8.2), or set models.backend: onnxruntime.',
    };
  return null;
}

/** In a line, for people. */
export function describeBoard(board: Board): string {
  const { profile, model, cores, processor, features, memory, userland, l4t, arch, accelerators } = board;
  const parts = [
    model ?? 'a machine without a name',
    `${cores} x ${processor ?? arch}`,
    ...(memory === null ? [] : [`${(memory / 2 ** 30).toFixed(1)} GB`]),
    features.join(' ') || 'no vectors',
    ...(userland === null ? [] : [userland]),
    ...(l4t === null ? [] : [`L4T ${l4t}`]),
    accelerators.join(', ') || 'no accelerator',
  ];
  const { variant, backend, threads, frame, fps } = PROFILES[profile];
  return (
    `${parts.join('; ')}. Profile ${profile}: ${variant} models first, ${backend}, ` +
    `${threads === 1 ? '1 thread' : `${threads} threads`}, ${frame.width}x${frame.height} at ${fps} frames a second`
  );
}
