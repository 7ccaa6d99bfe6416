import { useAsked } from '../hooks.js';
import { Empty, Loading, Problem, Title } from '../parts.jsx';
import { t } from '../text.js';
import type { Person } from '../types.js';

export function People() {
  const { answer, error } = useAsked<{ people: readonly Person[] }>('/v1/people');
  return (
    <>
      <Title
        side={
          <a class="button main" href="#/enrol">
            {t('people.add')}
          </a>
        }
      >
        {t('nav.people')}
      </Title>
      <Problem error={error} />
      {answer === null && error === null && <Loading />}
      {answer?.people.length === 0 && <Empty>{t('people.none')}</Empty>}
      <ul class="tiles">
        {answer?.people.map(({ id, name, samples }) => (
          <li key={id}>
            <a class="card tile" href={`#/people/${id}`}>
              <span class="initial" aria-hidden="true">
                {[...name][0]}
              </span>
              <span>
                <b>{name}</b>
                <small>{t('people.samples', { n: samples })}</small>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}
