import type { ClipVerdict } from '../src/pipeline/clip-life.js';

/** The presentations of one kind. */
export interface KindResult {
  readonly kind: string;
  /** Bona fide, or an attack. */
  readonly isLive: boolean;
  readonly verdicts: readonly ClipVerdict[];
}

/** The goals: of each kind at most this share of attacks accepted, of bona fide presentations refused. */
const GOAL_ATTACK = 0.07;
const GOAL_LIVE = 0.05;

/**
 * The upper end of the one-sided 95 % interval of a rate (C. Clopper and E. Pearson 1934): by bisection of the binomial
 * distribution.
 */
export function upperBound(errors: number, presentations: number): number {
  if (presentations === 0 || errors >= presentations) return 1;
  let [low, high] = [errors / presentations, 1];
  for (let step = 0; step < 60; step++) {
    const rate = (low + high) / 2;
    if (atMost(errors, presentations, rate) > 0.05) low = rate;
    else high = rate;
  }
  return high;
}

/** Chance of at most so many errors at this rate. */
function atMost(errors: number, presentations: number, rate: number): number {
  let term = (1 - rate) ** presentations;
  let sum = term;
  for (let count = 1; count <= errors; count++) {
    term *= ((presentations - count + 1) / count) * (rate / (1 - rate));
    sum += term;
  }
  return sum;
}

/** APCER or BPCER, with what there is to say about it. A presentation without a face is a non-response, and refused. */
export function summary({ kind, isLive, verdicts }: KindResult) {
  const errors = verdicts.filter(({ live }) => live !== isLive).length;
  const noFace = verdicts.filter(({ reason }) => reason === 'no-face').length;
  const reasons: Record<string, number> = {};
  for (const { reason } of verdicts) reasons[reason] = (reasons[reason] ?? 0) + 1;
  const after = verdicts.flatMap(({ afterMs }) => afterMs ?? []).sort((a, b) => a - b);
  const passive = verdicts.flatMap((one) => one.passive ?? []);
  return {
    kind,
    presentations: verdicts.length,
    [isLive ? 'bpcer' : 'apcer']: errors / Math.max(1, verdicts.length),
    upper95: upperBound(errors, verdicts.length),
    nonResponse: noFace / Math.max(1, verdicts.length),
    passiveAccepts: passive.filter((score) => score >= 0.5).length / Math.max(1, passive.length),
    medianTurnDegrees: middle(verdicts.map(({ turn }) => turn)),
    blinked: verdicts.filter(({ blinks }) => blinks > 0).length,
    medianMsUntilLive: after.length === 0 ? null : middle(after),
    reasons,
  };
}

export function table(results: readonly KindResult[]): string {
  const rows = (isLive: boolean): string[] =>
    results
      .filter((one) => one.isLive === isLive)
      .map((one) => {
        const { presentations, upper95, nonResponse, passiveAccepts, reasons, medianMsUntilLive } =
          summary(one);
        const errors = one.verdicts.filter(({ live }) => live !== isLive).length;
        const why = Object.entries(reasons)
          .sort(([, a], [, b]) => b - a)
          .map(([reason, count]) => `${reason} ${count}`)
          .join(', ');
        const rate = percent(errors / Math.max(1, presentations));
        const inTime = one.verdicts.filter(({ afterMs }) => afterMs !== null).length;
        const time = isLive
          ? ` ${medianMsUntilLive === null ? '-' : (medianMsUntilLive / 1000).toFixed(1)} |`
          : ` ${percent(inTime / Math.max(1, presentations))} |`;
        return `| ${one.kind} | ${presentations} | ${rate} | ${percent(upper95)} | ${percent(nonResponse)} | ${percent(passiveAccepts)} |${time} ${why} |`;
      });
  return [
    '| attack instrument | presentations | APCER, active | upper 95 % | without a face | accepted by the passive score alone | alive at some time | reasons |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
    ...rows(false),
    '',
    '| bona fide | presentations | BPCER, active | upper 95 % | without a face | accepted by the passive score alone | median s until alive | reasons |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
    ...rows(true),
    '',
  ].join('\n');
}

/** Each presentation as a dot by how far its relief moved; a bar for each kind's error rate. */
export function chart(results: readonly KindResult[]): string {
  const [left, row, width] = [190, 30, 420];
  const height = 70 + results.length * row;
  const x = (degrees: number): number => left + (Math.min(degrees, 40) / 40) * width;
  const lines = results.map((result, index) => {
    const y = 48 + index * row;
    const errors = result.verdicts.filter(({ live }) => live !== result.isLive).length;
    const share = errors / Math.max(1, result.verdicts.length);
    const good = share <= (result.isLive ? GOAL_LIVE : GOAL_ATTACK);
    const dots = result.verdicts
      .map(({ turn, live }, at) => {
        const jitter = ((at * 7919) % 13) - 6;
        return `<circle cx="${x(turn).toFixed(1)}" cy="${y + jitter}" r="2.6" fill="${live ? '#1f9d55' : '#b91c1c'}" fill-opacity="0.55"/>`;
      })
      .join('');
    return `<text x="${left - 12}" y="${y + 4}" text-anchor="end">${escaped(result.kind)}</text>
<path d="M${left} ${y}h${width}" stroke="#e2e8f0"/>${dots}
<text x="${left + width + 14}" y="${y + 4}" fill="${good ? '#1f9d55' : '#b91c1c'}">${result.isLive ? 'refused' : 'accepted'} ${percent(share)} of ${result.verdicts.length}</text>`;
  });
  const ticks = [0, 10, 20, 30, 40].map(
    (degrees) =>
      `<text x="${x(degrees)}" y="${height - 8}" text-anchor="middle" class="small">${degrees}°${degrees === 40 ? ' and more' : ''}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="800" height="${height}" viewBox="0 0 800 ${height}" role="img" aria-label="How far a head's relief turned in each presentation, and whether it counted as alive">
<style>text{font-family:system-ui,sans-serif;font-size:13px;fill:#1e293b}.small{font-size:11px;fill:#475569}</style>
<rect width="800" height="${height}" fill="#ffffff"/>
<text x="${left}" y="22" class="small">turn of a solid head that the points show; green: counted as alive, red: refused</text>
${lines.join('\n')}
${ticks.join('\n')}
</svg>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
