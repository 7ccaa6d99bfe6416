import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryDir } from './dirs.js';

/** A CA, a server certificate for localhost, and a client certificate, made at this moment: `path('server.pem')`. */
export async function authority(t: TestContext) {
  const dir = await temporaryDir(t);
  const path = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const ownCa = ['-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test CA', '-days', '2'];
  openssl('req', '-x509', ...key, ...ownCa);
  await writeFile(path('server.ext'), 'subjectAltName=DNS:localhost\n');
  for (const name of ['server', 'client']) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const extension = name === 'server' ? ['-extfile', 'server.ext'] : [];
    const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...ca, ...extension, '-out', `${name}.pem`);
  }
  return { dir, ca: path('ca.pem'), path };
}
