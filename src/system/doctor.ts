import type { Check } from '../domain/check.js';
import { type Board, boardProblem, describeBoard, readBoard } from './board.js';
import { type BackendOptions, backendCheck } from './doctor-backend.js';
import { cameraChecks } from './doctor-camera.js';
import { type DoorOptions, doorChecks } from './doctor-door.js';
import { diskCheck, memoryCheck, nodeCheck, stateDirCheck } from './doctor-machine.js';
import { brokerCheck, clockCheck, keyCheck } from './doctor-services.js';
import { lookAtBoard } from './hardware.js';

/** Where the gallery's key comes from. */
export type KeyKind = 'credential' | 'file' | 'state';

/** What other rooms know; each is called once and may throw, which becomes a failed check. */
export interface DoctorOptions {
  readonly stateDir: string;
  /** Loads the OpenCV addon; answers OpenCV's version. */
  readonly loadAddon: () => Promise<string>;
  readonly models: () => Promise<readonly ModelFinding[]>;
  readonly cameras: readonly { readonly name: string; readonly source: string }[];
  /** null: the built-in broker. */
  readonly brokerUrl: string | null;
  /** Where the key is looked for. */
  readonly key: () => KeyFinding;
  /** What this gallery can promise. */
  readonly promise: () => Promise<PromiseFinding>;
  /** Samples that the recogniser in use cannot compare with; left out: not looked at. */
  readonly samples?: () => Promise<SamplesFinding>;
  readonly doors?: DoorOptions;
  /** What runs the recogniser; left out: not looked at. */
  readonly backend?: BackendOptions;
  /** Settings that stand in the configuration instead of the board's profile, as text. */
  readonly overrides?: readonly string[];
  /** Whether programs are asked what files do not tell of the machine. The whole process waits for some of them. */
  readonly asksPrograms?: boolean;
  /** Where /proc, /sys, /dev and /run are, for tests. */
  readonly root?: string;
  readonly arch?: string;
  readonly nodeVersion?: string;
}

export interface ModelFinding {
  /** Which form is run, and why; left out where none can be. */
  readonly form?: string;
  readonly id: string;
  readonly state: 'ready' | 'missing' | 'damaged';
}

export interface KeyFinding {
  readonly kind: KeyKind;
  readonly path: string;
}

/** Samples of other recognisers than the one in use. */
export interface SamplesFinding {
  /** Their pictures were kept. */
  readonly waiting: number;
  readonly withoutImage: number;
}

export interface PromiseFinding {
  readonly people: number;
  /** Of a thousand strangers. */
  readonly wanted: number;
  /** The least that the recogniser's measured curve supports for this gallery; null when nothing was measured. */
  readonly attainable: number | null;
  /** Cosine that follows from it. */
  readonly threshold: number | null;
}

/** Every check, in the order in which a machine is set up. None throws. */
export async function runDoctor(options: DoctorOptions): Promise<Check[]> {
  const root = options.root ?? '/';
  const { samples, backend } = options;
  const board = look(options);
  const groups = await Promise.all([
    guarded('board', async () => boardCheck(await board, options.overrides ?? [])),
    guarded('node', async () => nodeCheck(options.nodeVersion ?? process.versions.node)),
    guarded('opencv', () => addonCheck(options.loadAddon)),
    guarded('models', async () => modelCheck(await options.models())),
    ...(backend === undefined ? [] : [guarded('backend', async () => backendCheck(backend, await board))]),
    guarded('camera', async () => cameraChecks(options.cameras, root)),
    guarded('broker', () => brokerCheck(options.brokerUrl)),
    guarded('clock', async () => clockCheck(root)),
    guarded('memory', async () => memoryCheck(root)),
    guarded('state', () => stateDirCheck(options.stateDir)),
    guarded('disk', () => diskCheck(options.stateDir)),
    guarded('key', () => keyCheck(options.key())),
    ...(options.doors === undefined ? [] : [guardedDoors(options.doors, root)]),
    guarded('promise', async () => promiseCheck(await options.promise())),
    ...(samples === undefined ? [] : [guarded('samples', async () => samplesCheck(await samples()))]),
  ]);
  return groups.flat();
}

async function look({ asksPrograms, root, arch }: DoctorOptions): Promise<Board> {
  return asksPrograms === true ? lookAtBoard() : readBoard(root, arch);
}

function guardedDoors(doors: DoorOptions, root: string): Promise<readonly Check[]> {
  return guarded('door', () => doorChecks(doors, root));
}

async function guarded(
  name: string,
  check: () => Promise<Check | readonly Check[]>,
): Promise<readonly Check[]> {
  try {
    return [await check()].flat();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const known =
      error instanceof Error && 'fix' in error && typeof error.fix === 'string' ? error.fix : undefined;
    return [
      { name, ok: false, detail, fix: known ?? 'Look at the reason; faced --verbose doctor says more.' },
    ];
  }
}

function boardCheck(board: Board, overrides: readonly string[]): Check {
  const but = overrides.length === 0 ? '' : `; the configuration says ${overrides.join(', ')}`;
  const detail = describeBoard(board) + but;
  const problem = boardProblem(board);
  if (problem === null) return { name: 'board', ok: true, detail };
  return { name: 'board', ok: false, detail: `${problem.detail} (${detail})`, fix: problem.fix };
}

async function addonCheck(load: () => Promise<string>): Promise<Check> {
  try {
    return { name: 'opencv', ok: true, detail: `OpenCV ${await load()}` };
  } catch (error) {
    const detail = `the addon does not load: ${error instanceof Error ? error.message : String(error)}`;
    return { name: 'opencv', ok: false, detail, fix: 'Build it: bash deploy/setup.sh' };
  }
}

export function modelCheck(models: readonly ModelFinding[]): Check {
  const bad = models.filter((model) => model.state !== 'ready');
  if (bad.length === 0)
    return {
      name: 'models',
      ok: true,
      detail: models.map(({ id, form }) => (form === undefined ? id : `${id}: ${form}`)).join(', '),
    };
  return {
    name: 'models',
    ok: false,
    detail: bad.map((model) => `${model.id} is ${model.state}`).join(', '),
    fix: 'Fetch them: faced model fetch',
  };
}

export function samplesCheck({ waiting, withoutImage }: SamplesFinding): Check {
  const name = 'samples';
  if (waiting === 0 && withoutImage === 0)
    return { name, ok: true, detail: 'all are of the recogniser in use' };
  const [again, anew] = [
    waiting > 0 ? ['Embed them again: faced people reembed'] : [],
    withoutImage > 0
      ? [`Enrol the people of ${withoutImage} samples again: no picture of them was kept`]
      : [],
  ];
  return {
    name,
    ok: false,
    detail: `${waiting + withoutImage} are of another recogniser, and nobody is recognised by them`,
    fix: [...again, ...anew].join('; '),
  };
}

export function promiseCheck({ people, wanted, attainable, threshold }: PromiseFinding): Check {
  const name = 'promise';
  const gallery = people === 1 ? '1 person' : `${people} people`;
  if (attainable === null)
    return {
      name,
      ok: false,
      detail: 'the recogniser’s card has no measured error curve, so nothing can be promised',
      fix: 'Measure it with faced eval and put the curve into the card, or use mobilefacenet.',
    };
  const asked = `at most ${wanted} of 1000 strangers taken for one of ${gallery}`;
  if (attainable > wanted)
    return {
      name,
      ok: false,
      detail: `${asked} cannot be kept: what was measured supports ${roundedUp(attainable)} and no less`,
      fix: `Set recognition.strangersPerThousand to ${roundedUp(attainable)} or more, or remove people who do not come any more.`,
    };
  const held = threshold === null ? '' : `, from a similarity of ${threshold.toFixed(3)} on`;
  return { name, ok: true, detail: `${asked}${held}` };
}

/** Two digits that can be kept: 0.01234 becomes 0.013. */
function roundedUp(value: number): number {
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((Math.ceil(value / unit - 1e-9) * unit).toPrecision(2));
}
