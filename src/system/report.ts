import type { Check } from '../domain/check.js';
import type { DaemonFigures } from '../pipeline/figures.js';
import type { HeatReading } from '../pipeline/heat-governor.js';
import { type Board, PROFILES } from './board.js';
import { readHeat, thermalZones } from './heat.js';
import { memoryFigures } from './memory.js';

export interface ReportParts {
  readonly version: string;
  readonly board: Board;
  readonly checks: readonly Check[];
  /** Shipped models only: the name of a user's own may say anything. */
  readonly models: readonly { readonly id: string; readonly kind: string }[];
  readonly ownModels: number;
  readonly opencv: string | null;
  /** Schemes of the cameras' sources: `v4l2`, `rtsp`. */
  readonly cameras: readonly string[];
  /** null: no daemon runs. */
  readonly daemon: DaemonFigures | null;
  readonly root?: string;
}

/** Names of checks that tell nothing but what was checked. */
const CHECKS = [
  ...['board', 'node', 'opencv', 'models', 'backend', 'camera', 'broker', 'clock', 'memory', 'state', 'disk'],
  ...['key', 'door', 'promise', 'samples'],
];
const SCHEMES = ['v4l2', 'csi', 'rtsp', 'rtsps', 'gstreamer', 'file', 'images', 'demo'];
const STAGES = ['motion', 'detect', 'track', 'align', 'embed', 'liveness', 'life', 'frame', 'view'];
/** Makers' names of boards and processors are short and plain; anything else may have been written by somebody. */
const MAKERS = /^(Raspberry Pi|NVIDIA|Jetson|Intel|AMD|Cortex|Arm core)[A-Za-z0-9 ().,@+/_-]{0,80}$/;
const SYSTEMS = /^(Debian|Raspbian|Ubuntu|Raspberry Pi OS|Alpine|Fedora|Arch)[A-Za-z0-9 ().,/_-]{0,60}$/;
const ZONE = /^[A-Za-z0-9_-]{1,20}$/;
const CODE = /^[a-z]+(\.[a-z-]+)?$/;

/**
 * What an owner can send: figures of this board, and nothing of the house. It is built from named fields, and a text is
 * taken only where it is one of known words or of a maker's form. No name, id, address, path, time or serial number is in it.
 */
export async function boardReport(parts: ReportParts) {
  const root = parts.root ?? '/';
  const { board, checks, daemon } = parts;
  const heat: HeatReading = await readHeat(root);
  return {
    report: 1 as const,
    versions: {
      faced: parts.version,
      node: process.versions.node,
      opencv: parts.opencv,
      userland: formed(board.userland, SYSTEMS),
      l4t: board.l4t,
    },
    board: {
      profile: board.profile,
      model: formed(board.model, MAKERS),
      compatible: board.compatible.filter((one) => /^(brcm|raspberrypi|nvidia),[a-z0-9+-]{1,40}$/.test(one)),
      ...{ arch: board.arch, cores: board.cores, processor: formed(board.processor, MAKERS) },
      ...{ features: board.features, memoryBytes: board.memory, accelerators: board.accelerators.length },
    },
    profile: PROFILES[board.profile],
    heat: {
      ...heat,
      zones: thermalZones(root).map(({ type, temperatureC, limitC }) => ({
        ...{ type: formed(type, ZONE), temperatureC, limitC },
      })),
    },
    memory: memoryFigures(root),
    checks: Object.fromEntries(
      CHECKS.flatMap((name) => {
        const of = checks.filter((one) => one.name.split(' ')[0] === name);
        return of.length === 0 ? [] : [[name, of.every(({ ok }) => ok)]];
      }),
    ),
    models: parts.models,
    ownModels: parts.ownModels,
    cameras: parts.cameras.map((scheme) => (SCHEMES.includes(scheme) ? scheme : 'other')),
    daemon: daemon === null ? null : ofDaemon(daemon),
    ...(daemon === null
      ? { noTimings: 'no daemon runs: start it, let somebody walk past a camera, and call again' }
      : {}),
  };
}

function ofDaemon({ health, stages }: DaemonFigures) {
  const { uptimeS, state, problems, cameras, outbox, rssBytes, machine, backend } = health;
  return {
    ...{ uptimeS, state, problems: problems.map(({ code }) => formed(code, CODE)) },
    // In an order that tells nothing.
    cameras: cameras.map(({ state: now, received, dropped, reopened, fps }) => ({
      ...{ state: now, received, dropped, reopened, fps },
    })),
    backend: backend === undefined ? null : { using: backend.using, precision: backend.precision },
    outbox,
    rssBytes,
    levels: { memory: machine.memoryLevel, heat: machine.heatLevel, heatSteps: machine.heatSteps },
    temperatureC: machine.temperatureC,
    stages: Object.fromEntries(Object.entries(stages).filter(([stage]) => STAGES.includes(stage))),
  };
}

function formed(text: string | null, form: RegExp): string | null {
  return text !== null && form.test(text) ? text : null;
}
