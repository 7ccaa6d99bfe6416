import { compact, t } from './text.js';
import type { Curve } from './types.js';

const WIDTH = 520;
const HEIGHT = 220;
const LEFT = 84;
const BOTTOM = 30;
const TOP = 12;
/** The lowest rate that is drawn. */
const FLOOR = 1e-6;

export interface Marks {
  readonly similarity: number | null;
  readonly threshold: number | null;
  readonly runnerUp: number | null;
}

/**
 * The recogniser's measured curve with what was seen in it: how many pairs of two people are so similar, how many pairs
 * of one person are less similar, both as a logarithm, over the similarity.
 */
export function CurveChart({ curve, marks }: { curve: Curve; marks: Marks }) {
  const x = (similarity: number) => LEFT + (WIDTH - LEFT - 12) * Math.min(1, Math.max(0, similarity));
  const y = (rate: number) =>
    TOP + ((HEIGHT - TOP - BOTTOM) * Math.log10(Math.max(FLOOR, rate))) / Math.log10(FLOOR);
  const path = (rate: (point: Curve['points'][number]) => number) =>
    curve.points
      .map((point, index) => `${index === 0 ? 'M' : 'L'}${x(point.threshold)},${y(rate(point))}`)
      .join('');
  const { similarity, threshold, runnerUp } = marks;
  return (
    <figure class="curve">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={t('why.chart')}>
        {[1, 1e-2, 1e-4, 1e-6].map((rate) => (
          <g key={rate}>
            <line class="grid" x1={LEFT} x2={WIDTH - 12} y1={y(rate)} y2={y(rate)} />
            <text x={LEFT - 6} y={y(rate) + 4} text-anchor="end">
              {rate === 1 ? '1' : `1 : ${compact(1 / rate)}`}
            </text>
          </g>
        ))}
        {[0, 0.25, 0.5, 0.75, 1].map((at) => (
          <text key={at} x={x(at)} y={HEIGHT - 8} text-anchor="middle">
            {at}
          </text>
        ))}
        <path class="impostor" d={path(({ fmr }) => fmr)} />
        <path class="genuine" d={path(({ tmr }) => 1 - tmr)} />
        {threshold !== null && (
          <line class="threshold" x1={x(threshold)} x2={x(threshold)} y1={TOP} y2={HEIGHT - BOTTOM} />
        )}
        {runnerUp !== null && (
          <line class="runner-up" x1={x(runnerUp)} x2={x(runnerUp)} y1={TOP} y2={HEIGHT - BOTTOM} />
        )}
        {similarity !== null && (
          <g>
            <line class="similarity" x1={x(similarity)} x2={x(similarity)} y1={TOP} y2={HEIGHT - BOTTOM} />
            <circle class="similarity" cx={x(similarity)} cy={HEIGHT - BOTTOM} r="5" />
          </g>
        )}
      </svg>
      <figcaption>
        <ul class="legend">
          <li class="impostor">{t('why.impostor')}</li>
          <li class="genuine">{t('why.genuine')}</li>
          <li class="similarity">{t('why.similarity')}</li>
          <li class="threshold">{t('why.threshold')}</li>
          {runnerUp !== null && <li class="runner-up">{t('why.runnerUp')}</li>}
        </ul>
      </figcaption>
    </figure>
  );
}

/** The rate of false matches at a similarity, between the points of the curve; null beyond its ends. */
export function rateAt({ points }: Curve, similarity: number): number | null {
  for (const [index, right] of points.entries()) {
    const left = points[index - 1];
    if (left === undefined || similarity < left.threshold || similarity > right.threshold) continue;
    const share = (similarity - left.threshold) / (right.threshold - left.threshold);
    return 10 ** (Math.log10(left.fmr) * (1 - share) + Math.log10(right.fmr) * share);
  }
  return null;
}

/** The last values of one figure, the newest to the right. */
export function Spark({ values, label, text }: { values: readonly number[]; label: string; text: string }) {
  const most = Math.max(...values, 1e-9);
  const points = values.map(
    (value, index) => `${(index * 100) / Math.max(1, values.length - 1)},${28 - (26 * value) / most}`,
  );
  return (
    <div class="spark">
      <span>{label}</span>
      <svg viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
        <polyline points={points.join(' ')} />
      </svg>
      <b>{text}</b>
    </div>
  );
}
