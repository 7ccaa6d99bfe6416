import { useEffect, useState } from 'preact/hooks';
import { ask } from '../api.js';
import { Spark } from '../charts.jsx';
import { useAsked, useWork } from '../hooks.js';
import { Button, Figure, Loading, Problem, Title } from '../parts.jsx';
import { bytes, maybe, number, percent, t } from '../text.js';
import type { Check, Health as Report } from '../types.js';

/** So many reports are drawn: two minutes of them. */
const KEPT = 60;
const EVERY_MS = 2000;
const STAGES = ['frame', 'motion', 'detect', 'track', 'align', 'embed', 'liveness'];

/** How the machine is and what each stage of the work takes, over the last minutes. */
export function Health() {
  const { answer, error } = useAsked<Report>('/v1/health', EVERY_MS);
  const [reports, setReports] = useState<readonly Report[]>([]);
  useEffect(() => {
    if (answer !== null) setReports((before) => [...before, answer].slice(-KEPT));
  }, [answer]);
  const last = reports.at(-1);
  return (
    <>
      <Title>{t('nav.health')}</Title>
      <Problem error={error} />
      {last === undefined ? error === null && <Loading /> : <Shown reports={reports} last={last} />}
      <Doctor />
    </>
  );
}

function Shown({ reports, last }: { reports: readonly Report[]; last: Report }) {
  const { machine, broker, waiting, outbox, problems, cameras } = last;
  const level = machine.memoryLevel;
  const used = ({ machine: { memoryFree, memoryTotal } }: Report) =>
    memoryFree === null || memoryTotal === null ? 0 : 1 - memoryFree / memoryTotal;
  return (
    <>
      <section class="card">
        <h2>{last.state === 'ok' ? t('health.ok') : t('health.degraded')}</h2>
        {problems.map(({ code, message }) => (
          <p key={code} class="problem">
            {message}
          </p>
        ))}
        <dl class="figures">
          <Figure
            name={t('health.broker')}
            value={broker.connected ? t('health.connected') : t('health.away')}
          />
          <Figure name={t('health.outbox')} value={`${number(outbox.waiting)} / ${number(outbox.limit)}`} />
          <Figure name={t('health.queue')} value={number(waiting.looks)} />
          <Figure
            name={t('health.uptime')}
            value={t('health.hours', { n: number(last.uptimeS / 3600, 1) })}
          />
          <Figure name={t('health.version')} value={last.version} />
        </dl>
      </section>
      <section class="card">
        <h2>{t('health.machine')}</h2>
        <dl class="figures">
          <Figure
            name={t('health.memory')}
            value={level === null ? '–' : t(`health.memory${level as 0 | 1 | 2}`)}
          />
          <Figure name={t('health.pace')} value={t(`health.pace${machine.heatLevel as 0 | 1 | 2 | 3}`)} />
        </dl>
        {machine.temperatureC !== null && (
          <Spark
            label={t('health.temperature')}
            values={reports.map((one) => one.machine.temperatureC ?? 0)}
            text={`${number(machine.temperatureC)} °C`}
          />
        )}
        <Spark label={t('health.memoryUsed')} values={reports.map(used)} text={percent(used(last))} />
        <Spark
          label={t('health.process')}
          values={reports.map(({ rssBytes }) => rssBytes)}
          text={bytes(last.rssBytes)}
        />
        {machine.diskFree !== null && (
          <p class="hint">
            {t('health.disk', { free: bytes(machine.diskFree), of: bytes(machine.diskTotal ?? 0) })}
          </p>
        )}
      </section>
      <Stages reports={reports} last={last} />
      <section class="card">
        <h2>{t('health.cameras')}</h2>
        <dl class="figures">
          {cameras.map(({ camera, state, received, dropped, problem }) => (
            <Figure
              key={camera}
              name={camera}
              value={`${maybe(`state.${state}`) ?? state} · ${t('health.frames', {
                n: number(received),
                dropped: number(dropped),
              })} ${problem ?? ''}`}
            />
          ))}
        </dl>
      </section>
    </>
  );
}

function Stages({ reports, last }: { reports: readonly Report[]; last: Report }) {
  const seen = STAGES.filter((stage) => reports.some(({ stages }) => stages[stage] !== undefined));
  if (seen.length === 0) return null;
  return (
    <section class="card">
      <h2>{t('health.stages')}</h2>
      {seen.map((stage) => (
        <Spark
          key={stage}
          label={maybe(`stage.${stage}`) ?? stage}
          values={reports.map((one) => mean(one, stage))}
          text={`${number(mean(last, stage), 1)} ms`}
        />
      ))}
    </section>
  );
}

function mean({ stages }: Report, stage: string): number {
  const { totalMs, count } = stages[stage] ?? { totalMs: 0, count: 0 };
  return count === 0 ? 0 : totalMs / count;
}

function Doctor() {
  const [checks, setChecks] = useState<readonly Check[] | null>(null);
  const { busy, error, run } = useWork();
  const look = () =>
    run(async () => setChecks((await ask<{ checks: readonly Check[] }>('/v1/doctor')).checks));
  return (
    <section class="card">
      <h2>{t('doctor.title')}</h2>
      <p>{t('doctor.text')}</p>
      <Button disabled={busy} onClick={look}>
        {t('doctor.look')}
      </Button>
      <Problem error={error} />
      <div role="status">
        <ul class="results">
          {checks?.map(({ name, ok, detail, fix }) => (
            <li key={name} class={ok ? 'good' : 'bad'}>
              <b>{name}</b> {detail} {fix !== undefined && <em>{fix}</em>}
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
