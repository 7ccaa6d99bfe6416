import { useState } from 'preact/hooks';
import { ask } from '../api.js';
import { useAsked, useWork } from '../hooks.js';
import { Button, Confirm, Empty, Field, Loading, Problem, Title } from '../parts.jsx';
import { t, when } from '../text.js';
import type { PersonRef, UnknownGroup } from '../types.js';

/** Strangers who are kept for a while, to be named or forgotten. */
export function Unknown() {
  const { answer, error, again } = useAsked<{ groups: readonly UnknownGroup[] }>('/v1/unknown', 3000);
  const [named, setNamed] = useState<PersonRef | null>(null);
  return (
    <>
      <Title>{t('nav.unknown')}</Title>
      <p>{t('unknown.text')}</p>
      <Problem error={error} />
      <div role="status">
        {named !== null && (
          <p class="good-news">
            {t('unknown.named', { name: named.name })} <a href={`#/people/${named.id}`}>{t('enrol.see')}</a>
          </p>
        )}
      </div>
      {answer === null && error === null && <Loading />}
      {answer?.groups.length === 0 && <Empty>{t('unknown.none')}</Empty>}
      <ul class="tiles">
        {answer?.groups.map((group) => (
          <Stranger
            key={group.group}
            group={group}
            onGone={again}
            onNamed={(person) => {
              setNamed(person);
              again();
            }}
          />
        ))}
      </ul>
    </>
  );
}

function Stranger({
  group,
  onNamed,
  onGone,
}: {
  group: UnknownGroup;
  onNamed: (person: PersonRef) => void;
  onGone: () => void;
}) {
  const [name, setName] = useState('');
  const { busy, error, run } = useWork();
  const path = `/v1/unknown/${encodeURIComponent(group.group)}`;
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      const { person } = await ask<{ person: PersonRef }>(`${path}/name`, { method: 'POST', body: { name } });
      onNamed(person);
    });
  };
  return (
    <li class="card sample">
      <img
        src={`${path}/image`}
        alt={t('unknown.alt', { time: when(group.lastSeen) })}
        width="112"
        height="112"
      />
      <form onSubmit={submit}>
        <p class="hint">
          {t('unknown.seen', {
            n: group.faces,
            camera: group.cameras.join(', '),
            time: when(group.lastSeen),
          })}
        </p>
        <Field label={t('unknown.who')} value={name} onValue={setName} required maxLength={200} />
        <Problem error={error} />
        <div class="row">
          <Button kind="main" type="submit" disabled={busy || name.trim() === ''}>
            {t('unknown.name')}
          </Button>
          <Confirm
            label={t('unknown.forget')}
            question={t('unknown.forgetAsk')}
            onYes={async () => {
              await ask(path, { method: 'DELETE' });
              onGone();
            }}
          />
        </div>
      </form>
    </li>
  );
}
