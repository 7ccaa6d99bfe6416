// For check-systemd.sh: a registry on a slow line. Answers every request with one tarball, evenly over so many seconds.
//   node slow-registry.mjs TARBALL SECONDS PORT
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [tarball, seconds, port] = process.argv.slice(2);
const bytes = readFileSync(tarball);
const steps = Number(seconds) * 4;
const piece = Math.ceil(bytes.length / steps);
createServer((_request, response) => {
  let at = 0;
  const timer = setInterval(() => {
    response.write(bytes.subarray(at, at + piece));
    at += piece;
    if (at < bytes.length) return;
    clearInterval(timer);
    response.end();
  }, 250);
  response.on('close', () => clearInterval(timer));
}).listen(Number(port), '127.0.0.1');
