import { useEffect, useRef, useState } from 'preact/hooks';
import { useStream } from '../hooks.js';
import { Badge, Empty, Loading, Meter, Problem, Title } from '../parts.jsx';
import { maybe, number, t } from '../text.js';
import type { CameraHealth, LiveFace, LiveFaces } from '../types.js';
import { CameraChoice, Picture, useCamera } from './picture.jsx';

/** What a camera sees now, and what is thought of each face. */
export function Live() {
  const { cameras, camera, choose, error } = useCamera();
  const [seen, setSeen] = useState<LiveFaces | null>(null);
  const shown = useRef<number[]>([]);
  // A picture's stream that broke off does not begin again by itself, as this one does.
  const [opened, setOpened] = useState(0);
  useStream(camera === null ? null : `/v1/cameras/${encodeURIComponent(camera)}/faces`, {
    open: () => setOpened((count) => count + 1),
    faces: (data) => {
      shown.current = [...shown.current, performance.now()].slice(-30);
      setSeen(data as LiveFaces);
    },
  });
  const health = cameras?.find((one) => one.camera === camera) ?? null;
  const rate = useRate(health);
  return (
    <>
      <Title>{t('nav.live')}</Title>
      <Problem error={error} />
      {cameras === null && error === null && <Loading />}
      {cameras?.length === 0 && <Empty>{t('live.noCamera')}</Empty>}
      {cameras !== null && camera !== null && (
        <div class="live">
          <section aria-label={t('live.picture')}>
            <CameraChoice cameras={cameras} camera={camera} choose={choose} />
            <Picture
              key={`${camera} ${Math.max(1, opened)}`}
              camera={camera}
              frame={seen?.frame}
              state={health?.state}
            />
            <p class="facts">
              <span>
                {t('live.rate')} <b>{rate === null ? '–' : number(rate, 1)}</b>
              </span>
              <span>
                {t('live.shown')} <b>{number(shownRate(shown.current), 1)}</b>
              </span>
              <span>
                {t('live.state')} <b>{maybe(`state.${health?.state ?? ''}`) ?? health?.state ?? ''}</b>
              </span>
            </p>
            {health?.problem && <p class="problem">{health.problem}</p>}
          </section>
          <section aria-label={t('live.faces')} class="faces">
            <h2>{t('live.faces')}</h2>
            {seen === null || seen.faces.length === 0 ? (
              <Empty>{t('live.nobody')}</Empty>
            ) : (
              <ul>
                {seen.faces.map((face) => (
                  <Seen key={face.track} face={face} />
                ))}
              </ul>
            )}
          </section>
        </div>
      )}
    </>
  );
}

function Seen({ face }: { face: LiveFace }) {
  const { decision, person, similarity, threshold, liveness, quality, poor } = face;
  return (
    <li class="card">
      <p class="who">
        <b>{person?.name ?? t('live.somebody')}</b> <Badge decision={decision} />
      </p>
      {typeof similarity === 'number' && (
        <Meter label={t('why.similarity')} value={similarity} mark={threshold ?? null} />
      )}
      {typeof liveness === 'number' && <Meter label={t('why.liveness')} value={liveness} />}
      {typeof quality === 'number' && <Meter label={t('why.quality')} value={quality} />}
      {poor && <p class="hint">{t(`poor.${poor}`)}</p>}
    </li>
  );
}

/** Frames a second that the camera delivers, from two counts. */
function useRate(health: CameraHealth | null): number | null {
  const before = useRef<{ camera: string; received: number; at: number } | null>(null);
  const [rate, setRate] = useState<number | null>(null);
  const { camera, received } = health ?? { camera: '', received: 0 };
  useEffect(() => {
    const at = performance.now();
    const { current } = before;
    if (current !== null && current.camera === camera && received > current.received)
      setRate((1000 * (received - current.received)) / (at - current.at));
    if (current?.received !== received || current.camera !== camera)
      before.current = { camera, received, at };
  }, [camera, received]);
  return rate;
}

/** Pictures a second that came here. */
function shownRate(times: readonly number[]): number {
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined || last === first) return 0;
  return (1000 * (times.length - 1)) / (last - first);
}
