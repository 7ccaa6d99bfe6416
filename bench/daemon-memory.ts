/**
 * The whole daemon at each level of memory, with MobileFaceNet and with a recogniser of 170 MB, and under limits of a real
 * control group (version 1): `sudo node dist/bench/daemon-memory.js FOLDER [MODEL…]`, a folder of folders of pictures, one a person
 * with at least two (LFW's form). A clip at its own pace: six people, 40 seconds of nobody, six people; six of the twelve are
 * enrolled. The levels are forced by `models.memoryMb`. About 25 minutes.
 */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { controlSocketPath } from '../src/assemble.js';
import { FacedError } from '../src/domain/errors.js';
import { modelsDir } from '../src/inference/model-dir.js';
import { ROOT } from '../src/lib/program.js';
import { callSocket } from '../src/lib/socket-rpc.js';
import { encodeModel, loadModel } from '../src/model-tools/graph/index.js';
import type { DaemonFigures } from '../src/pipeline/figures.js';
import { heavy } from './heavy.js';
import { noLimits, runUnderLimit } from './memory-limit.js';
import { peopleOf, writeClip } from './people-clip.js';

const MB = 2 ** 20;
const PEOPLE = 12;
const FACED = join(ROOT, 'bin', 'faced');

interface Run {
  readonly name: string;
  readonly model: string;
  /** `models.memoryMb`; null: left out. */
  readonly budgetMb: number | null;
  /** Of the control group. */
  readonly limitMb: number;
}

const [folder, ...chosen] = process.argv.slice(2);
const models = chosen.length === 0 ? ['mobilefacenet', 'heavy'] : chosen;
if (folder === undefined) throw new Error('which folder of people?');
const reason = noLimits();
if (reason !== null) throw new Error(reason);
const dir = mkdtempSync(join(tmpdir(), 'faced-bench-'));
try {
  const people = peopleOf(folder, PEOPLE);
  writeClip(
    join(dir, 'clip.avi'),
    people.map(({ photos }, index) => ({ photo: photos[1] ?? '', frames: 60, gap: index === 5 ? 600 : 30 })),
  );
  await writeModels();
  const rows = [];
  for (const model of models) {
    await enrol(model, people);
    const normal = await measure({ name: 'normal', model, budgetMb: null, limitMb: 2000 });
    rows.push(normal);
    // So near to what it has that a tenth of the budget is left; and less than it can do with.
    const low = Math.ceil(normal.quietMb / 0.9);
    rows.push(await measure({ name: 'low', model, budgetMb: low, limitMb: 2000 }));
    rows.push(await measure({ name: 'critical', model, budgetMb: 64, limitMb: 2000 }));
    for (const limitMb of model === 'heavy' ? [512, 400, 300] : [512, 256])
      rows.push(await measure({ name: 'as it comes', model, budgetMb: null, limitMb }));
  }
  console.table(rows);
} finally {
  rmSync(dir, { recursive: true, force: true });
}

/** The shipped models, and a heavy recogniser with its shards and a card that has MobileFaceNet's curve. */
async function writeModels(): Promise<void> {
  const to = join(dir, 'models');
  mkdirSync(to);
  const shipped = modelsDir();
  for (const name of readdirSync(shipped)) symlinkSync(join(shipped, name), join(to, name));
  const network = heavy(await loadModel(join(shipped, 'mobilefacenet.onnx')));
  const bytes = encodeModel(network);
  writeFileSync(join(to, 'heavy.onnx'), bytes);
  const card = JSON.parse(readFileSync(join(ROOT, 'models', 'mobilefacenet.json'), 'utf8')) as object;
  const file = {
    file: 'heavy.onnx',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.length,
  };
  const own = { ...card, id: 'heavy', title: 'As heavy as an IResNet-50', space: 'heavy', ...file };
  writeFileSync(join(to, 'heavy.json'), JSON.stringify({ ...own, source: undefined, variants: undefined }));
  const split = [FACED, 'model', 'split', 'heavy', '--shards', '8', '--out', join(to, 'heavy.shards')];
  const { code } = await runUnderLimit(4000 * MB, split, {
    env: environment('heavy', null),
    onStart: () => {},
  });
  if (code !== 0) throw new Error('the heavy model could not be split');
}

function environment(model: string, budgetMb: number | null): NodeJS.ProcessEnv {
  return {
    ...process.env,
    FACED_STATE_DIR: join(dir, `state-${model}`),
    FACED_MODELS_DIR: join(dir, 'models'),
    FACED_MODELS_RECOGNISER: model,
    FACED_ISOLATION: 'thread',
    FACED_MQTT_EMBEDDED_PORT: '0',
    FACED_HTTP_PORT: '0',
    ...(budgetMb === null ? {} : { FACED_MODELS_MEMORY_MB: String(budgetMb) }),
  };
}

async function enrol(model: string, people: readonly { name: string; photos: readonly string[] }[]) {
  for (const { name, photos } of people.slice(0, PEOPLE / 2)) {
    const { code } = await runUnderLimit(4000 * MB, [FACED, 'enroll', name, photos[0] ?? ''], {
      env: environment(model, null),
      onStart: () => {},
    });
    if (code !== 0) throw new Error(`${name} could not be enrolled`);
  }
}

async function measure({ name, model, budgetMb, limitMb }: Run) {
  const decisions = new Map<string, number>();
  const seen: { level: number | null; rss: number }[] = [];
  let figures: DaemonFigures | null = null;
  let stop = () => {};
  let peak = 0;
  const argv = [FACED, 'run', '--source', `file:${join(dir, 'clip.avi')}?pace=real`, '--once', '--json'];
  const { killed, signal, code, groupPeak } = await runUnderLimit(limitMb * MB, argv, {
    env: environment(model, budgetMb),
    onStart: (child) => {
      if (child.stdout === null) return;
      createInterface({ input: child.stdout }).on('line', (line) => {
        const { decision } = JSON.parse(line) as { decision: string };
        decisions.set(decision, (decisions.get(decision) ?? 0) + 1);
      });
      const timer = setInterval(async () => {
        peak = Math.max(peak, highWater(child.pid));
        figures = (await ask(model)) ?? figures;
        if (figures === null) return;
        seen.push({ level: figures.health.machine.memoryLevel, rss: figures.health.rssBytes });
      }, 1000);
      stop = () => clearInterval(timer);
    },
  });
  stop();
  const embed = (figures as DaemonFigures | null)?.stages.embed;
  const levels = [...new Set(seen.map(({ level }) => level))].join(', ');
  // Nobody is there in the middle of the clip, and idle models have been let go where they are.
  const quiet = Math.min(...seen.slice(Math.floor(seen.length / 3)).map(({ rss }) => rss));
  const row = {
    model,
    level: `${name} (${levels})`,
    limitMb,
    budgetMb,
    outcome: killed ? 'killed by the kernel' : `ended with ${signal ?? code}`,
    decisions: [...decisions]
      .map(([kind, count]) => `${count} ${kind}`)
      .sort()
      .join(', '),
    peakMb: Math.round(peak / MB),
    quietMb: Math.round(quiet / MB),
    groupMb: Math.round(groupPeak / MB),
    faces: embed?.count ?? 0,
    msPerFace: embed === undefined ? null : Math.round(embed.meanMs),
    worstMs: embed === undefined ? null : Math.round(embed.maxMs),
  };
  console.error(JSON.stringify(row));
  return row;
}

async function ask(model: string): Promise<DaemonFigures | null> {
  const socket = controlSocketPath(join(dir, `state-${model}`));
  const daemon = await callSocket(socket, { reviveError: FacedError.from }).catch(() => null);
  return (
    (await daemon
      ?.call<DaemonFigures>('figures')
      .catch(() => null)
      .finally(() => daemon.close())) ?? null
  );
}

/** The most that the process had resident so far, bytes (proc(5), VmHWM). */
function highWater(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
