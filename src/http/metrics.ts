import { Counter, Gauge, Registry } from 'prom-client';
import { BEAT_PATIENCE_MS } from '../pipeline/health.js';
import { NOTICE_KINDS } from '../pipeline/notices.js';
import type { CameraStats } from '../pipeline/ports.js';
import { STAGE_BOUNDS_MS } from '../pipeline/stage-clock.js';
import type { Context } from './context.js';
import { type Counts, HTTP_BOUNDS_S } from './tally.js';

/** What is measured, in the form of Prometheus. No name of a person and no address is in it. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
    this.#addTimes();
    this.#addCounts();
    this.#addCameras();
    this.#addState();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #addTimes(): void {
    const { stages, answers } = this.#context.tally;
    this.#histogram({
      name: 'faced_stage_duration_seconds',
      help: 'Time of a stage of the pipeline for one frame.',
      bounds: STAGE_BOUNDS_MS.map((ms) => ms / 1000),
      read: () => [...stages].map(([stage, counts]) => ({ labels: { stage }, counts })),
    });
    this.#histogram({
      name: 'faced_http_request_duration_seconds',
      help: 'From the arrival of a request to the end of its answer.',
      bounds: HTTP_BOUNDS_S,
      read: () =>
        [...answers].map(([key, counts]) => {
          const [method = '', route = '', status = ''] = key.split(' ');
          return { labels: { route, method, status }, counts };
        }),
    });
  }

  #addCounts(): void {
    const { decisions, looks, tracks, notices, models } = this.#context.tally;
    this.#counter({
      name: 'faced_decisions_total',
      help: 'Final decisions.',
      labels: ['camera', 'decision'],
      read: () =>
        [...decisions].flatMap(([camera, counts]) =>
          [...counts].map(([decision, value]) => ({ labels: { camera, decision }, value })),
        ),
    });
    const byCamera = (name: string, help: string, counts: ReadonlyMap<string, number>) =>
      this.#counter({
        ...{ name, help, labels: ['camera'] },
        read: () => [...counts].map(([camera, value]) => ({ labels: { camera }, value })),
      });
    byCamera('faced_face_looks_total', 'Looks at faces that were worth judging.', looks);
    byCamera('faced_faces_total', 'Faces that came and went (tracks).', tracks);
    this.#counter({
      name: 'faced_vision_restarts_total',
      help: 'Unexpected ends of the vision worker.',
      labels: [],
      read: () => [{ labels: {}, value: this.#context.tally.restarts }],
    });
    const byModel = (name: string, help: string, key: 'loads' | 'evictions') =>
      this.#counter({
        ...{ name, help, labels: ['model'] },
        read: () => [...models].map(([model, counts]) => ({ labels: { model }, value: counts[key] })),
      });
    byModel('faced_model_loads_total', 'Models that were loaded.', 'loads');
    byModel('faced_model_evictions_total', 'Models released for want of memory.', 'evictions');
    this.#counter({
      name: 'faced_notices_total',
      help: 'Notices of what matters, when they began.',
      labels: ['kind'],
      read: () => [...notices].map(([kind, value]) => ({ labels: { kind }, value })),
    });
  }

  #addCameras(): void {
    const { cameras } = this.#context.tally;
    const counter = (name: string, help: string, value: (stats: CameraStats) => number) =>
      this.#counter({
        ...{ name, help, labels: ['camera'] },
        read: () =>
          [...cameras.values()].map((stats) => ({ labels: { camera: stats.camera }, value: value(stats) })),
      });
    counter('faced_frames_received_total', 'Frames that the camera delivered.', ({ received }) => received);
    counter('faced_frames_dropped_total', 'Frames that a newer one replaced.', ({ dropped }) => dropped);
    counter('faced_frames_processed_total', 'Frames that were looked at.', ({ processed }) => processed);
    counter(
      'faced_frames_asleep_total',
      'Frames in which nothing moved and the detector slept.',
      ({ asleep }) => asleep,
    );
    counter('faced_frames_failed_total', 'Frames whose work failed.', ({ failed }) => failed ?? 0);
    counter(
      'faced_camera_reopened_total',
      'Times that a source was opened again.',
      ({ reopened }) => reopened,
    );
    new Gauge({
      name: 'faced_camera_up',
      help: '1 while the source is open.',
      labelNames: ['camera'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { camera, state } of cameras.values()) this.set({ camera }, state === 'open' ? 1 : 0);
      },
    });
  }

  /** A counter that others keep: its values are read when they are asked for. */
  #counter({ name, help, labels, read }: ReadCounter): void {
    new Counter({
      ...{ name, help, labelNames: [...labels], registers: [this.#registry] },
      collect() {
        this.reset();
        for (const one of read()) this.inc(one.labels, one.value);
      },
    });
  }

  #histogram(kept: ReadHistogram): void {
    this.#registry.registerMetric(new KeptHistogram(kept) as never);
  }

  #addState(): void {
    const { health, gallery, mqtt, machine, notices, waiting } = this.#context;
    const { gate } = this.#context;
    const gauge = (name: string, help: string, read: () => Promise<number | null> | number | null) =>
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        async collect() {
          const value = await read();
          // What nobody can say is left out: 0 would be a figure.
          if (value === null) this.remove();
          else this.set(value);
        },
      });
    gauge('faced_up', '1: the daemon runs.', () => 1);
    gauge('faced_ready', '1 while the vision worker gives signs of life.', () =>
      health.sinceBeat() < BEAT_PATIENCE_MS ? 1 : 0,
    );
    gauge('faced_gallery_people', 'People in the gallery.', () => gallery().people);
    gauge('faced_gallery_samples', 'Samples of the recogniser in use.', () => gallery().samples);
    gauge('faced_mqtt_connected', '1 while there is a broker.', () => (mqtt().connected ? 1 : 0));
    gauge('faced_queue_looks', 'Looks that wait to be judged.', () => waiting().looks);
    gauge('faced_queue_unrecorded_events', 'Events that wait for the disk.', () => waiting().unrecorded);
    gauge('faced_queue_pictures', 'Requests with pictures that are under way.', () => gate.inside);
    gauge(
      'faced_resident_memory_bytes',
      'Of all processes of the daemon.',
      async () => (await health.report()).rssBytes,
    );
    const outbox = (name: string, help: string, key: 'waiting' | 'limit' | 'dropped') =>
      gauge(name, help, async () => (await health.report()).outbox[key]);
    outbox('faced_outbox_waiting', 'Messages that wait for the broker.', 'waiting');
    outbox('faced_outbox_limit', 'Messages that may wait.', 'limit');
    outbox('faced_outbox_dropped', 'Messages dropped since the database was made.', 'dropped');
    gauge(
      'faced_temperature_celsius',
      'Of the hottest thermal zone.',
      async () => (await machine()).temperatureC,
    );
    gauge(
      'faced_disk_free_bytes',
      'Of the disk with the state directory.',
      async () => (await machine()).diskFree,
    );
    gauge(
      'faced_memory_free_bytes',
      'What can be taken without swapping.',
      async () => (await machine()).memoryFree,
    );
    gauge(
      'faced_memory_total_bytes',
      'What faced may use at most.',
      async () => (await machine()).memoryTotal,
    );
    gauge(
      'faced_heat_level',
      'The cameras’ pace: 0 full, 3 slowest.',
      async () => (await machine()).heatLevel,
    );
    gauge(
      'faced_heat_steps',
      'How often that changed since the start.',
      async () => (await machine()).heatSteps,
    );
    gauge('faced_memory_level', '0: enough, 1: low, 2: critical.', async () => (await machine()).memoryLevel);
    new Gauge({
      name: 'faced_notice_active',
      help: '1 while something of this kind is wrong.',
      labelNames: ['kind'],
      registers: [this.#registry],
      collect() {
        const active = new Set(notices.active().map(({ kind }) => kind));
        for (const kind of NOTICE_KINDS) this.set({ kind }, active.has(kind) ? 1 : 0);
      },
    });
  }
}

interface ReadCounter {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: () => readonly { readonly labels: Record<string, string>; readonly value: number }[];
}

interface ReadHistogram {
  readonly name: string;
  readonly help: string;
  /** Seconds. */
  readonly bounds: readonly number[];
  readonly read: () => readonly { readonly labels: Record<string, string>; readonly counts: Counts }[];
}

/** A histogram that others keep, in the form that prom-client's registry asks for. */
class KeptHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #kept: ReadHistogram;

  constructor(kept: ReadHistogram) {
    this.name = kept.name;
    this.help = kept.help;
    this.#kept = kept;
  }

  /** Asked for by the registry; the figures are not its own. */
  reset(): void {}

  async get() {
    const { name, help, type, aggregator } = this;
    const { bounds, read } = this.#kept;
    const values = read().flatMap(({ labels, counts: { buckets, sum } }) => {
      const value = (suffix: string, more: Record<string, string | number>, figure: number) => ({
        ...{ metricName: `${name}_${suffix}`, labels: { ...labels, ...more }, value: figure },
      });
      let below = 0;
      const cumulative = buckets.map((count, index) => {
        below += count;
        return value('bucket', { le: bounds[index] ?? '+Inf' }, below);
      });
      return [...cumulative, value('sum', {}, sum), value('count', {}, below)];
    });
    return { name, help, type, values, aggregator };
  }
}
