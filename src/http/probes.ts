import type { IncomingMessage, ServerResponse } from 'node:http';
import { BEAT_PATIENCE_MS } from '../pipeline/health.js';
import type { Arrivals } from './arrival.js';
import { errorReply } from './errors.js';
import { SECURITY_HEADERS } from './headers.js';
import type { HttpParts } from './parts.js';
import type { Tally } from './tally.js';

export interface Probed {
  readonly status: 200 | 503;
  readonly body: { readonly status: string };
}

type Probe = (parts: Pick<HttpParts, 'health'>) => Probed;

export const healthz: Probe = () => ({ status: 200, body: { status: 'ok' } });

export const readyz: Probe = ({ health }) =>
  health.sinceBeat() < BEAT_PATIENCE_MS
    ? { status: 200, body: { status: 'ready' } }
    : { status: 503, body: { status: 'not-ready' } };

const PROBES: ReadonlyMap<string | undefined, Probe> = new Map([
  ['/healthz', healthz],
  ['/readyz', readyz],
]);
/** Seconds. */
export const RETRY_READY = '5';

export interface ProbeParts {
  readonly arrivals: Arrivals;
  readonly health: HttpParts['health'];
  readonly tally: Tally;
}

/** Answers what supervisors ask every few seconds; false when something else was asked for. Needs none of what answers people. */
export function answerProbe(
  request: IncomingMessage,
  response: ServerResponse,
  { arrivals, health, tally }: ProbeParts,
): boolean {
  const probe = PROBES.get(request.url);
  if (probe === undefined || request.method !== 'GET') return false;
  const startedAt = performance.now();
  const { status, body } = checked(() => {
    arrivals.check(request);
    return probe({ health });
  });
  const headers = { ...SECURITY_HEADERS, 'cache-control': 'no-store', 'content-type': 'application/json' };
  response.writeHead(status, status === 503 ? { ...headers, 'retry-after': RETRY_READY } : headers);
  response.end(JSON.stringify(body));
  const seconds = (performance.now() - startedAt) / 1000;
  tally.answered({ route: request.url ?? '', method: 'GET', status, seconds });
  return true;
}

function checked(work: () => Probed): { readonly status: number; readonly body: object } {
  try {
    return work();
  } catch (error) {
    return errorReply(error);
  }
}
