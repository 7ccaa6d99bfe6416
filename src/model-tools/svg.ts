/** Pictures for model cards and reports, as SVG text: no library draws them, and the same numbers give the same bytes. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** A second value, drawn pale behind the first. */
  readonly behind?: number;
}

export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const STYLE =
  '<style>text{font:12px sans-serif;fill:#222}.t{font-size:15px;font-weight:600}.g{stroke:#ddd}.a{stroke:#666}</style>';
const COLOURS = ['#1864ab', '#d9480f', '#2b8a3e', '#862e9c', '#c92a2a', '#0b7285', '#5f3dc4', '#5c940d'];

/** Horizontal bars, one below the other. */
export function barChart(chart: {
  readonly title: string;
  readonly unit: string;
  readonly behind?: string;
  readonly bars: readonly Bar[];
}): string {
  const [left, width, row, top] = [260, 560, 16, 54];
  const most = Math.max(...chart.bars.map((bar) => Math.max(bar.value, bar.behind ?? 0)), 1e-9);
  const height = top + chart.bars.length * row + 20;
  const rows = chart.bars.map((bar, index) => {
    const y = top + index * row;
    const length = (value: number): string => ((value / most) * width).toFixed(1);
    const behind =
      bar.behind === undefined
        ? ''
        : `<rect x="${left}" y="${y + 2}" width="${length(bar.behind)}" height="12" fill="#d0ebff"/>`;
    const figure =
      bar.behind === undefined ? bar.value.toFixed(3) : `${bar.value.toFixed(2)} / ${bar.behind.toFixed(2)}`;
    const end = left + (Math.max(bar.value, bar.behind ?? 0) / most) * width;
    return `<text x="${left - 6}" y="${y + 12}" text-anchor="end">${escapeXml(bar.label)}</text>${behind}<rect x="${left}" y="${y + 4}" width="${length(bar.value)}" height="8" fill="${COLOURS[0]}"/><text x="${(end + 4).toFixed(1)}" y="${y + 12}">${figure}</text>`;
  });
  const legend = chart.behind === undefined ? chart.unit : `${chart.unit}; pale: ${chart.behind}`;
  return svg(left + width + 110, height, [
    `<text class="t" x="12" y="22">${escapeXml(chart.title)}</text>`,
    `<text x="12" y="42">${escapeXml(legend)}</text>`,
    ...rows,
  ]);
}

/** Lines over two axes; `logX` for false match rates. */
export function lineChart(chart: {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  readonly logX?: boolean;
}): string {
  const [left, top, width, height] = [70, 40, 560, 360];
  const scaleX = (x: number): number => (chart.logX === true ? Math.log10(Math.max(x, 1e-9)) : x);
  const all = chart.series.flatMap((series) => series.points);
  const [x0, x1] = bounds(all.map(([x]) => scaleX(x)));
  const [y0, y1] = bounds(all.map(([, y]) => y));
  const px = (x: number): string => (left + ((scaleX(x) - x0) / (x1 - x0)) * width).toFixed(1);
  const py = (y: number): string => (top + height - ((y - y0) / (y1 - y0)) * height).toFixed(1);
  const grid = [0, 1, 2, 3, 4].flatMap((step) => {
    const [x, y] = [x0 + ((x1 - x0) * step) / 4, y0 + ((y1 - y0) * step) / 4];
    const gx = (left + (width * step) / 4).toFixed(1);
    const gy = (top + height - (height * step) / 4).toFixed(1);
    return [
      `<line class="g" x1="${gx}" x2="${gx}" y1="${top}" y2="${top + height}"/>`,
      `<line class="g" x1="${left}" x2="${left + width}" y1="${gy}" y2="${gy}"/>`,
      `<text x="${gx}" y="${top + height + 18}" text-anchor="middle">${short(chart.logX === true ? 10 ** x : x)}</text>`,
      `<text x="${left - 6}" y="${gy}" text-anchor="end">${short(y)}</text>`,
    ];
  });
  const lines = chart.series.map((series, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const points = series.points.map(([x, y]) => `${px(x)},${py(y)}`).join(' ');
    return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="1.5"/><text x="${left + width + 10}" y="${top + 14 + index * 16}" style="fill:${colour}">${escapeXml(series.label)}</text>`;
  });
  return svg(left + width + 230, top + height + 50, [
    `<text class="t" x="12" y="22">${escapeXml(chart.title)}</text>`,
    ...grid,
    ...lines,
    `<text x="${left + width / 2}" y="${top + height + 38}" text-anchor="middle">${escapeXml(chart.x)}</text>`,
    `<text transform="translate(16 ${top + height / 2}) rotate(-90)" text-anchor="middle">${escapeXml(chart.y)}</text>`,
  ]);
}

function svg(width: number, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">\n${STYLE}\n<rect width="100%" height="100%" fill="#fff"/>\n${parts.join('\n')}\n</svg>\n`;
}

function bounds(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!Number.isFinite(low)) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

function short(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size < 0.01 || size >= 1e5)
    ? value.toExponential(0)
    : String(Number(value.toPrecision(4)));
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
