import type { CommandSpec } from './command.js';

/** A command and how its file is loaded: only the one that runs is imported, so that small commands start fast. */
function lazily(entry: Omit<CommandSpec, 'run'>, load: () => Promise<CommandSpec['run']>): CommandSpec {
  return { ...entry, run: async (argv, io) => (await load())(argv, io) };
}

/** Between the forms of a command that has many: each stands in a line of its own. */
const LINES = '\n';

export const COMMANDS: readonly CommandSpec[] = [
  lazily(
    {
      name: 'run',
      synopsis: '[--config F] [--source URI] [--once]',
      summary: 'the daemon: watch the cameras, tell the house',
    },
    async () => (await import('./run.js')).run,
  ),
  lazily(
    {
      name: 'enroll',
      synopsis: 'NAME PATH… | NAME --camera [ID] [--force] [--consent VERSION[@DATE]]',
      summary: 'learn a person from pictures, folders of pictures, or in front of a camera',
    },
    async () => (await import('./enroll.js')).run,
  ),
  lazily(
    { name: 'identify', synopsis: 'PATH…', summary: 'say who is in pictures' },
    async () => (await import('./identify.js')).run,
  ),
  lazily(
    {
      name: 'people',
      synopsis:
        'list | rename WHO NAME | remove WHO… | export [WHO…] --out FILE | import FILE or DIR | samples WHO | remove-sample SAMPLE… | image SAMPLE --out FILE | forget-images | reembed | consent WHO [--text VERSION [--date DAY]] | withdraw WHO | unknown list|name|show|forget',
      summary: 'who is in the gallery; WHO is an id or a name',
    },
    async () => (await import('./people.js')).run,
  ),
  lazily(
    {
      name: 'eval',
      synopsis: '--pairs F --images DIR [--model ID or FILE]',
      summary: 'verification accuracy over pairs in the form of LFW',
    },
    async () => (await import('./eval.js')).run,
  ),
  lazily(
    {
      name: 'model',
      synopsis: [
        'list',
        'fetch [ID…] [--from FILE] [--demo]',
        'inspect [M] [--svg F]',
        'import FILE --out O.onnx [--order rgb|bgr] [--licence TEXT]',
        'optimize [M] --out O.onnx [--target x64|arm64]',
        'quantize [M] --calibration DIR [--out O.onnx] [--static|--dynamic] [--method mse|minmax|percentile|entropy] [--image] [--float LAYER…] [--float-budget ERROR] [--narrow] [--target x64|arm64] [--force]',
        'prune [M] --out O.onnx [--calibration DIR] (--layer NAME=SHARE… | --budget LOSS | --macs SHARE) [--svg F]',
        'prune [M] --out O.onnx --unstructured (--layer NAME=SHARE… | --share SHARE)',
        'split [M] --shards N --out DIR',
        'half [M] [--calibration DIR] [--out O.onnx]',
        'head train DIR --out O.onnx|H.json [--model ID] [--name NAME]',
        'engine [M] [--out O.engine] [--trtexec PATH] [--dry-run]',
        'verify [M] [--against N] [--images DIR [--pairs F] [--limit COUNT]] [--looks 1|2] [--svg F] [--dry]',
        'bench [M…] [--runs N] [--threads N] [--batch N]',
      ].join(LINES),
      summary: 'the models and the workshop for them',
    },
    async () => (await import('./model.js')).run,
  ),
  lazily(
    {
      name: 'embed',
      synopsis: 'DIR --out F.npy [--batch 16] [--workers N] [--devices cpu,cuda:0,…]',
      summary: 'embeddings of a large set of pictures, as a NumPy array',
    },
    async () => (await import('./embed.js')).run,
  ),
  lazily(
    {
      name: 'audit',
      synopsis: 'verify [--head H] | export [--about ID] [--kind KIND] | head',
      summary: 'the record of what was done, and whether it is whole',
    },
    async () => (await import('./audit.js')).run,
  ),
  lazily(
    {
      name: 'http',
      synopsis: 'open | close | code',
      summary: 'let the home network in; the code for the first account',
    },
    async () => (await import('./http.js')).run,
  ),
  lazily(
    {
      name: 'token',
      synopsis:
        'create --scope recognize[,read,enroll,door,admin] [--label L] [--days N] | list | revoke ID…',
      summary: 'what lets a program in over HTTP',
    },
    async () => (await import('./token.js')).run,
  ),
  lazily(
    {
      name: 'door',
      synopsis:
        'status | unlock [DOOR] | lock [DOOR] | present [DOOR] | keys | add-key WHO | remove-keys WHO [--badge|--qr]',
      summary: 'the doors, and who has a code, badge or QR text (read from standard input)',
    },
    async () => (await import('./door.js')).run,
  ),
  lazily(
    {
      name: 'liveness',
      synopsis: 'CLIP… [--mode off|passive|active|both]',
      summary: 'whether the face of a film, or of a folder of frames, is alive',
    },
    async () => (await import('./liveness.js')).run,
  ),
  lazily(
    {
      name: 'backup',
      synopsis: 'create FILE | rotate DIR [--keep N] | verify FILE | restore FILE [--replace]',
      summary: 'copies of the gallery, checked, and which key opens them',
    },
    async () => (await import('./backup.js')).run,
  ),
  lazily(
    {
      name: 'doctor',
      synopsis: '[--report [FILE]]',
      summary: 'check this machine and this installation, with a mend for each fault; figures to send',
    },
    async () => (await import('./doctor.js')).run,
  ),
];

export function findCommand(
  argv: readonly string[],
): { command: CommandSpec; rest: readonly string[] } | undefined {
  const command = COMMANDS.find(({ name }) => name === argv[0]);
  return command === undefined ? undefined : { command, rest: argv.slice(1) };
}

export function help(about?: CommandSpec): string {
  if (about !== undefined) {
    const lines = about.synopsis.split(LINES).map((line) => `faced ${about.name} ${line}`);
    return [...lines, `  ${about.summary}`].join('\n');
  }
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  return [
    'faced COMMAND [--config F] [--json] [--verbose]',
    '',
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'faced help COMMAND says what it takes.',
  ].join('\n');
}
