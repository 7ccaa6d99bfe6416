import { useState } from 'preact/hooks';
import { ask } from '../api.js';
import { go, useAsked, useWork } from '../hooks.js';
import { Button, Choice, Confirm, Field, Loading, Meter, Problem, qualityWords, Title } from '../parts.jsx';
import { t, when } from '../text.js';
import type { Person, Sample } from '../types.js';
import { Drop } from './drop.jsx';

/** One person: the samples and their quality, another name, one entry out of two, and going. */
export function PersonView({ id }: { id: string }) {
  const { answer, error, again } = useAsked<{ person: Person; samples: readonly Sample[] }>(
    `/v1/people/${id}`,
  );
  if (answer === null) return error === null ? <Loading /> : <Problem error={error} />;
  const { person, samples } = answer;
  return (
    <>
      <p class="back">
        <a href="#/people">{t('nav.people')}</a>
      </p>
      <Title>{person.name}</Title>
      <section class="card">
        <h2>{t('person.samples')}</h2>
        <p class="hint">{t('person.samplesText')}</p>
        <ul class="tiles">
          {samples.map((sample) => (
            <SampleTile
              key={sample.id}
              person={person}
              sample={sample}
              last={samples.length === 1}
              onGone={again}
            />
          ))}
        </ul>
      </section>
      <section class="card">
        <h2>{t('drop.title')}</h2>
        <Drop name={person.name} onDone={again} />
        <p>
          <a class="button" href={`#/enrol/${encodeURIComponent(person.name)}`}>
            {t('enrol.camera')}
          </a>
        </p>
      </section>
      <Rename person={person} onDone={again} />
      <Merge person={person} onDone={again} />
      <section class="card">
        <h2>{t('person.remove')}</h2>
        <p>{t('person.removeText')}</p>
        <Confirm
          label={t('person.remove')}
          question={t('person.removeAsk', { name: person.name })}
          onYes={async () => {
            await ask(`/v1/people/${person.id}`, { method: 'DELETE' });
            go('people');
          }}
        />
      </section>
    </>
  );
}

function SampleTile({
  person,
  sample,
  last,
  onGone,
}: {
  person: Person;
  sample: Sample;
  last: boolean;
  onGone: () => void;
}) {
  const path = `/v1/people/${person.id}/samples/${sample.id}`;
  return (
    <li class="card sample">
      {sample.image ? (
        <img
          src={`${path}/image`}
          alt={t('person.sampleAlt', { name: person.name })}
          width="112"
          height="112"
        />
      ) : (
        <span class="no-image">{t('person.noImage')}</span>
      )}
      <div>
        <Meter label={t('why.quality')} value={sample.quality.score} />
        <p class="hint">{qualityWords(sample.quality)}</p>
        <p class="hint">{when(sample.createdAt)}</p>
        {!last && (
          <Confirm
            label={t('person.removeSample')}
            question={t('person.removeSampleAsk')}
            onYes={async () => {
              await ask(path, { method: 'DELETE' });
              onGone();
            }}
          />
        )}
      </div>
    </li>
  );
}

function Rename({ person, onDone }: { person: Person; onDone: () => void }) {
  const [name, setName] = useState(person.name);
  const { busy, error, run } = useWork();
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      await ask(`/v1/people/${person.id}`, { method: 'PATCH', body: { name } });
      onDone();
    });
  };
  return (
    <form class="card" onSubmit={submit}>
      <h2>{t('person.rename')}</h2>
      <Field label={t('person.name')} value={name} onValue={setName} required maxLength={200} />
      <Problem error={error} />
      <Button type="submit" disabled={busy || name === person.name}>
        {t('save')}
      </Button>
    </form>
  );
}

function Merge({ person, onDone }: { person: Person; onDone: () => void }) {
  const { answer, again } = useAsked<{ people: readonly Person[] }>('/v1/people');
  const [from, setFrom] = useState('');
  const others = (answer?.people ?? []).filter(({ id }) => id !== person.id);
  const other = others.find(({ id }) => id === from);
  if (others.length === 0) return null;
  return (
    <section class="card">
      <h2>{t('person.merge')}</h2>
      <p>{t('person.mergeText', { name: person.name })}</p>
      <Choice
        label={t('person.mergeFrom')}
        value={from}
        options={[['', '–'], ...others.map(({ id, name }) => [id, name] as const)]}
        onValue={setFrom}
      />
      {other !== undefined && (
        <Confirm
          label={t('person.merge')}
          question={t('person.mergeAsk', { name: person.name, other: other.name })}
          onYes={async () => {
            await ask(`/v1/people/${person.id}/merge`, { method: 'POST', body: { from } });
            setFrom('');
            again();
            onDone();
          }}
        />
      )}
    </section>
  );
}
