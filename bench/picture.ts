/**
 * The picture of the README, from what a run said: `faced run --source demo --once --json | node dist/bench/picture.js > docs/demo.svg`.
 * One panel an event: where the face was in the frame, who it was, and the similarity against the threshold. No pixels of a camera.
 */
import { readFileSync } from 'node:fs';
import type { RecognitionEvent } from '../src/domain/event.js';

const PANEL = { width: 208, height: 268, gap: 16, frame: { x: 12, y: 40, width: 184, height: 138 } };
const COLOURS: Readonly<Record<RecognitionEvent['decision'], string>> = {
  known: '#1f9d55',
  unknown: '#c2410c',
  ambiguous: '#a16207',
  spoof: '#b91c1c',
  poor: '#64748b',
};

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function panel(event: RecognitionEvent, index: number): string {
  const { frame } = PANEL;
  const colour = COLOURS[event.decision];
  const scale = frame.width / event.frame[0];
  const [x, y, width, height] = event.box.map((value) => value * scale) as [number, number, number, number];
  const middle = x + width / 2;
  const name = event.person?.name ?? event.decision;
  return `<g transform="translate(${16 + index * (PANEL.width + PANEL.gap)} 16)">
  <rect width="${PANEL.width}" height="${PANEL.height}" rx="10" fill="#ffffff" stroke="#d5dbe3"/>
  <text x="12" y="26" class="name" fill="${colour}">${escaped(name)}</text>
  <text x="${PANEL.width - 12}" y="26" class="small" text-anchor="end">${event.time.slice(11, 19)}</text>
  <svg x="${frame.x}" y="${frame.y}" width="${frame.width}" height="${frame.height}">
    <rect width="100%" height="100%" fill="#e6ebf1"/>
    <ellipse cx="${middle.toFixed(1)}" cy="${(y + 1.75 * height).toFixed(1)}" rx="${width.toFixed(1)}" ry="${(0.72 * height).toFixed(1)}" fill="#b8c2cf"/>
    <ellipse cx="${middle.toFixed(1)}" cy="${(y + height / 2).toFixed(1)}" rx="${(0.42 * width).toFixed(1)}" ry="${(height / 2).toFixed(1)}" fill="#9aa7b7"/>
    <rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" fill="none" stroke="${colour}" stroke-width="2"/>
  </svg>
  ${gauge(event, colour)}
  <text x="12" y="256" class="small">${event.latencyMs.toFixed(0)} ms from frame to event</text>
</g>`;
}

function gauge({ similarity, threshold }: RecognitionEvent, colour: string): string {
  if (similarity === null || threshold === null)
    return '<text x="12" y="214" class="small">nobody to compare with</text>';
  const { x, width } = PANEL.frame;
  const at = (value: number) => (x + Math.min(Math.max(value, 0), 1) * width).toFixed(1);
  return `<rect x="${x}" y="206" width="${width}" height="4" rx="2" fill="#d5dbe3"/>
  <path d="M${at(threshold)} 198v20" stroke="#334155" stroke-width="2"/>
  <circle cx="${at(similarity)}" cy="208" r="6" fill="${colour}"/>
  <text x="12" y="236" class="small">similarity ${similarity.toFixed(2)}, threshold ${threshold.toFixed(2)}</text>`;
}

const events = readFileSync(0, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as RecognitionEvent);
const width = 16 + events.length * (PANEL.width + PANEL.gap);
process.stdout.write(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${PANEL.height + 32}" viewBox="0 0 ${width} ${PANEL.height + 32}" role="img" aria-label="Events of the demo: who was seen, with similarity and threshold">
<style>text{font-family:system-ui,sans-serif}.name{font-size:17px;font-weight:600}.small{font-size:11px;fill:#475569}</style>
<rect width="100%" height="100%" rx="12" fill="#f4f6f9"/>
${events.map(panel).join('\n')}
</svg>
`);
