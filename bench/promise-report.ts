import { judged } from './promise-figures.js';

export interface PairRow {
  readonly kind: string;
  /** The false match rate that was asked for. */
  readonly rate: number;
  readonly pairs: number;
  readonly measured: number;
  readonly interval: readonly [number, number];
}

export interface PromiseRow {
  readonly kind: string;
  readonly people: number;
  readonly perPerson: number;
  /** Of a thousand strangers. */
  readonly promise: number;
  readonly galleries: number;
  /** How many of the galleries were too large for the promise. */
  readonly refused: number;
  /** The mean of the least promise that could have been made. */
  readonly least: number;
  readonly presentations: number;
  readonly errors: number;
  readonly fpir: number;
  readonly fpirInterval: readonly [number, number];
  readonly fnir: number;
  readonly fnirInterval: readonly [number, number];
}

/** The tables of docs/performance.md. */
export function tables(pairs: readonly PairRow[], rows: readonly PromiseRow[]): string {
  return [
    '| network | false match rate asked for | impostor pairs tried | measured | 95 % |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...pairs.map(({ kind, rate, pairs: tried, measured, interval: [low, high] }) =>
      cells([
        kind,
        scientific(rate),
        tried.toLocaleString('en'),
        scientific(measured),
        `${scientific(low)} to ${scientific(high)}`,
      ]),
    ),
    '',
    '| network | people | samples each | promise in 1,000 | galleries | refused | strangers before them | taken for somebody, in 1,000 | 95 % | promise | FNIR | 95 % |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |',
    ...rows.map(line),
  ].join('\n');
}

function line(row: PromiseRow): string {
  const { kind, people, perPerson, promise, galleries, refused } = row;
  const head = [kind, people, perPerson === 1 ? '1' : `up to ${perPerson}`, promise, galleries, refused];
  if (refused === galleries)
    return cells([...head, 0, '', '', `refused; ${row.least.toPrecision(2)} could be promised`, '', '']);
  const [low, high] = row.fpirInterval;
  const [least, most] = row.fnirInterval;
  return cells([
    ...head,
    row.presentations.toLocaleString('en'),
    (1000 * row.fpir).toFixed(2),
    `${(1000 * low).toFixed(2)} to ${(1000 * high).toFixed(2)}`,
    judged(promise / 1000, row.fpirInterval),
    percent(row.fnir),
    `${percent(least)} to ${percent(most)}`,
  ]);
}

function cells(values: readonly (string | number)[]): string {
  return `| ${values.join(' | ')} |`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function scientific(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}
