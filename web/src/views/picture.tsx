import { useEffect, useRef, useState } from 'preact/hooks';
import { useAsked } from '../hooks.js';
import { Choice } from '../parts.jsx';
import { t } from '../text.js';
import type { CameraHealth } from '../types.js';

/** The cameras, and which of them is looked at. */
export function useCamera() {
  const { answer, error } = useAsked<{ cameras: readonly CameraHealth[] }>('/v1/cameras', 2000);
  const [chosen, choose] = useState<string | null>(null);
  const [kept, keep] = useState<readonly CameraHealth[] | null>(null);
  useEffect(() => {
    if (answer !== null) keep(answer.cameras);
  }, [answer]);
  const cameras = kept;
  const camera = chosen ?? cameras?.[0]?.camera ?? null;
  return { cameras, camera, choose, error };
}

export function CameraChoice({
  cameras,
  camera,
  choose,
}: {
  cameras: readonly CameraHealth[];
  camera: string | null;
  choose: (camera: string) => void;
}) {
  if (cameras.length < 2 || camera === null) return null;
  return (
    <Choice
      label={t('live.camera')}
      value={camera}
      options={cameras.map(({ camera: one }) => [one, one] as const)}
      onValue={choose}
    />
  );
}

/** The live picture of a camera. It holds a connection, which is let go when the view is left. */
export function Picture({
  camera,
  frame = [4, 3],
  state,
}: {
  camera: string;
  frame?: readonly [number, number] | undefined;
  state?: string | undefined;
}) {
  const image = useRef<HTMLImageElement>(null);
  const [turn, setTurn] = useState(0);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const { current } = image;
    return () => current?.removeAttribute('src');
  }, []);
  useEffect(() => {
    if (!broken) return;
    const timer = setTimeout(() => {
      setBroken(false);
      setTurn((one) => one + 1);
    }, 3000);
    return () => clearTimeout(timer);
  }, [broken]);
  const over = state === 'ended' || state === 'stopped';
  return (
    <div
      class="picture"
      ref={(element) => element?.style.setProperty('aspect-ratio', `${frame[0]} / ${frame[1]}`)}
    >
      <img
        ref={image}
        src={`/v1/cameras/${encodeURIComponent(camera)}/live?${turn}`}
        alt={t('live.alt', { camera })}
        onError={() => setBroken(true)}
      />
      {(broken || over) && (
        <p class="over" role="status">
          {over ? t('live.ended') : t('live.noPicture')}
        </p>
      )}
    </div>
  );
}
