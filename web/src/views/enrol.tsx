import { useRef, useState } from 'preact/hooks';
import { Refusal, stream } from '../api.js';
import { useWork } from '../hooks.js';
import { Button, Empty, Field, Problem, Title } from '../parts.jsx';
import { type Key, maybe, t } from '../text.js';
import type { Enrolled, PersonRef } from '../types.js';
import { Drop } from './drop.jsx';
import { CameraChoice, Picture, useCamera } from './picture.jsx';

/** A new person: a name, and then the camera or pictures. */
export function Enrol({ id = '' }: { id?: string }) {
  const [name, setName] = useState(id);
  return (
    <>
      <p class="back">
        <a href="#/people">{t('nav.people')}</a>
      </p>
      <Title>{t('enrol.title')}</Title>
      <section class="card">
        <Field
          label={t('person.name')}
          hint={t('enrol.nameHint')}
          value={name}
          onValue={setName}
          maxLength={200}
        />
      </section>
      <section class="card">
        <h2>{t('enrol.camera')}</h2>
        <FromCamera name={name} />
      </section>
      <section class="card">
        <h2>{t('drop.title')}</h2>
        <Drop name={name} onDone={() => {}} />
      </section>
    </>
  );
}

interface Progress {
  readonly advice: string;
  readonly text: string;
  readonly taken: number;
  readonly wanted: number;
}

interface Done {
  readonly person: PersonRef | null;
  readonly samples: readonly Enrolled[];
}

/** Leads somebody in front of the camera: says what to change until enough is taken. */
export function FromCamera({ name, onDone }: { name: string; onDone?: (person: PersonRef) => void }) {
  const { cameras, camera, choose, error: noCamera } = useCamera();
  const [progress, setProgress] = useState<Progress | null>(null);
  const [done, setDone] = useState<Done | null>(null);
  const gone = useRef<AbortController | null>(null);
  const { busy, error, run } = useWork();
  const begin = () =>
    run(async () => {
      setDone(null);
      setProgress(null);
      const calling = new AbortController();
      gone.current = calling;
      try {
        const body = { name: name.trim(), camera };
        for await (const said of stream('/v1/enroll/camera', {
          method: 'POST',
          body,
          signal: calling.signal,
        })) {
          if (said.name === 'progress') setProgress(said.data as Progress);
          if (said.name === 'failed') throw asRefusal(said.data);
          if (said.name !== 'done') continue;
          const outcome = said.data as Done;
          setDone(outcome);
          if (outcome.person !== null) onDone?.(outcome.person);
        }
      } catch (thrown) {
        if (!calling.signal.aborted) throw thrown;
      } finally {
        setProgress(null);
      }
    });
  if (cameras?.length === 0) return <Empty>{t('live.noCamera')}</Empty>;
  return (
    <>
      <Problem error={noCamera} />
      {cameras !== null && camera !== null && (
        <>
          <CameraChoice cameras={cameras} camera={camera} choose={choose} />
          <Picture key={camera} camera={camera} />
        </>
      )}
      <div role="status" class="advice">
        {progress !== null && (
          <>
            <b>{maybe(`advice.${progress.advice}`) ?? progress.text}</b>
            <progress value={progress.taken} max={progress.wanted} aria-label={t('enrol.progress')} />
            <small>{t('enrol.taken', { n: progress.taken, of: progress.wanted })}</small>
          </>
        )}
        {done !== null && <Outcome done={done} name={name} />}
      </div>
      <Problem error={error} />
      <div class="row">
        {busy ? (
          <Button onClick={() => gone.current?.abort()}>{t('cancel')}</Button>
        ) : (
          <Button kind="main" disabled={name.trim() === '' || camera === null} onClick={begin}>
            {t('enrol.begin')}
          </Button>
        )}
      </div>
    </>
  );
}

function Outcome({ done: { person, samples }, name }: { done: Done; name: string }) {
  const taken = samples.filter(({ accepted }) => accepted).length;
  const refused = samples.filter(({ accepted }) => !accepted);
  return (
    <>
      {person === null ? (
        <b>{t('enrol.nothing')}</b>
      ) : (
        <b>
          {t('enrol.done', { name, n: taken })} <a href={`#/people/${person.id}`}>{t('enrol.see')}</a>
        </b>
      )}
      {refused.map(({ code, reason }, index) => (
        <small key={index}>{maybe(`error.${code}`) ?? reason ?? t('drop.refused' satisfies Key)}</small>
      ))}
    </>
  );
}

function asRefusal(data: unknown): unknown {
  const { error } = data as { error: { code: string; message: string; fix?: string } };
  return new Refusal(error.code, error.message, { fix: error.fix });
}
