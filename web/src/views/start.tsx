import { useState } from 'preact/hooks';
import { Field, Title } from '../parts.jsx';
import { t } from '../text.js';
import type { PersonRef } from '../types.js';
import { FromCamera } from './enrol.jsx';

/** After the first account: the camera's picture, and oneself in front of it. */
export function Start() {
  const [name, setName] = useState('');
  const [person, setPerson] = useState<PersonRef | null>(null);
  return (
    <>
      <Title>{t('start.title')}</Title>
      <ol class="steps">
        <li class="done">{t('start.account')}</li>
        <li aria-current={person === null ? 'step' : undefined}>{t('start.camera')}</li>
        <li class={person === null ? '' : 'done'}>{t('start.self')}</li>
      </ol>
      <section class="card">
        <p>{t('start.text')}</p>
        <Field label={t('person.name')} value={name} onValue={setName} maxLength={200} />
        <FromCamera name={name} onDone={setPerson} />
      </section>
      <p class="row">
        <a class={person === null ? 'button' : 'button main'} href="#/live">
          {person === null ? t('start.later') : t('start.live')}
        </a>
        {person === null && (
          <a class="button" href="#/enrol">
            {t('start.pictures')}
          </a>
        )}
      </p>
    </>
  );
}
