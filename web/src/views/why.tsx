import { CurveChart, rateAt } from '../charts.jsx';
import { useAsked } from '../hooks.js';
import { Badge, Figure, Loading, Meter, Problem, qualityWords, Title } from '../parts.jsx';
import { clock, number, t, when } from '../text.js';
import type { Curve, Event, FaceQuality, Look, Recogniser } from '../types.js';

/** Why an event was decided as it was. */
export function Why({ id }: { id: string }) {
  const { answer: event, error } = useAsked<Event>(`/v1/events/${id}`);
  const { answer: recogniser } = useAsked<Recogniser>('/v1/recogniser');
  const { answer: seen } = useAsked<{ looks: readonly Look[] }>(`/v1/events/${id}/looks`);
  if (event === null) return error === null ? <Loading /> : <Problem error={error} />;
  const curve = recogniser?.model === event.model ? recogniser.curve : null;
  return (
    <>
      <p class="back">
        <a href="#/events">{t('nav.events')}</a>
      </p>
      <Title side={<Badge decision={event.decision} />}>{event.person?.name ?? t('live.somebody')}</Title>
      <p class="hint">
        {when(event.time)} · {event.camera} · {t('why.took', { ms: number(event.latencyMs) })}
      </p>
      <section class="card">
        <h2>{t('why.title')}</h2>
        <p class="reason">{reason(event)}</p>
        <Similarity event={event} curve={curve} />
      </section>
      <section class="card">
        <h2>{t('why.liveness')}</h2>
        <Liveness event={event} looks={seen?.looks ?? []} minimum={recogniser?.livenessMinimum ?? null} />
      </section>
      <section class="card">
        <h2>{t('why.quality')}</h2>
        <Quality quality={event.quality} />
      </section>
      <section class="card">
        <h2>{t('why.looks')}</h2>
        {seen !== null && seen.looks.length === 0 ? (
          <p class="hint">{t('why.noLooks')}</p>
        ) : (
          <Looks looks={seen?.looks ?? []} />
        )}
      </section>
    </>
  );
}

function reason({ decision, similarity, threshold, runnerUp, person }: Event): string {
  const values = {
    name: person?.name ?? '',
    s: similarity?.toFixed(2) ?? '–',
    t: threshold?.toFixed(2) ?? '–',
    r: runnerUp?.toFixed(2) ?? '–',
  };
  if (decision === 'unknown' && similarity === null) return t('why.nobodyToCompare');
  if (decision === 'known' && runnerUp === null) return t('why.knownAlone', values);
  return t(`why.${decision}`, values);
}

function Similarity({
  event: { similarity, threshold, runnerUp },
  curve,
}: {
  event: Event;
  curve: Curve | null;
}) {
  if (similarity === null) return null;
  const rate = curve === null ? null : rateAt(curve, similarity);
  return (
    <>
      <Meter label={t('why.similarity')} value={similarity} mark={threshold} />
      {runnerUp !== null && <Meter label={t('why.runnerUp')} value={runnerUp} mark={threshold} />}
      {threshold !== null && <Meter label={t('why.threshold')} value={threshold} />}
      {curve !== null && (
        <>
          <CurveChart curve={curve} marks={{ similarity, threshold, runnerUp }} />
          <p>{chance(curve, similarity, rate)}</p>
          <p class="hint">{t('why.measured', { n: number(curve.impostorPairs) })}</p>
        </>
      )}
    </>
  );
}

function chance({ points }: Curve, similarity: number, rate: number | null): string {
  if (rate !== null) return t('why.rate', { n: number(Math.round(1 / rate)) });
  const last = points.at(-1);
  if (last !== undefined && similarity > last.threshold)
    return t('why.rateBelow', { n: number(Math.round(1 / last.fmr)) });
  return t('why.rateAbove');
}

function Liveness({
  event,
  looks,
  minimum,
}: {
  event: Event;
  looks: readonly Look[];
  minimum: number | null;
}) {
  const votes = looks.flatMap(({ liveness }) => (liveness === null ? [] : [liveness]));
  if (event.liveness === null) return <p class="hint">{t('why.noLiveness')}</p>;
  const enough = minimum === null ? null : votes.filter((vote) => vote >= minimum).length;
  return (
    <>
      <Meter label={t('why.liveness')} value={event.liveness} mark={minimum} />
      {enough !== null && votes.length > 0 && <p>{t('why.votes', { n: enough, of: votes.length })}</p>}
      {minimum === null && <p class="hint">{t('why.livenessReported')}</p>}
    </>
  );
}

function Quality({ quality }: { quality: FaceQuality }) {
  const { score, size, sharpness, yaw, pitch, roll, brightness } = quality;
  return (
    <>
      <Meter label={t('why.quality')} value={score} />
      <p>{qualityWords(quality)}</p>
      <dl class="figures">
        <Figure name={t('quality.size')} value={`${number(size)} px`} />
        <Figure name={t('quality.sharpness')} value={number(sharpness)} />
        <Figure name={t('quality.yaw')} value={`${number(yaw)}°`} />
        <Figure name={t('quality.pitch')} value={`${number(pitch)}°`} />
        <Figure name={t('quality.roll')} value={`${number(roll)}°`} />
        <Figure name={t('quality.brightness')} value={number(brightness)} />
      </dl>
    </>
  );
}

function Looks({ looks }: { looks: readonly Look[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <section class="scroll" tabIndex={0} aria-label={t('why.looks')}>
      <table>
        <thead>
          <tr>
            {(['time', 'similarity', 'liveness', 'quality', 'alone'] as const).map((one) => (
              <th key={one} scope="col">
                {t(`why.${one}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {looks.map((look, index) => (
            <tr key={index}>
              <td>{clock(look.time)}</td>
              <td>{look.similarity?.toFixed(2) ?? '–'}</td>
              <td>{look.liveness?.toFixed(2) ?? '–'}</td>
              <td>{look.quality.score.toFixed(2)}</td>
              <td>
                {t(`decision.${look.decision}`)}
                {look.poor !== null && ` (${t(`poor.${look.poor}`)})`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
