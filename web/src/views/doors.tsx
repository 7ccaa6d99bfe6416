import { useAsked } from '../hooks.js';
import { Empty, Loading, Problem, Title } from '../parts.jsx';
import { maybe, t } from '../text.js';
import type { Config } from '../types.js';

interface Door {
  readonly door: string;
  readonly state: string;
  readonly open: boolean | null;
}

/** The doors as they are, and the rules that they go by. A page opens none. */
export function Doors() {
  const { answer, error } = useAsked<{ doors: readonly Door[] }>('/v1/doors', 3000);
  const { answer: held } = useAsked<Config>('/v1/config');
  const doors = answer?.doors ?? null;
  return (
    <>
      <Title>{t('nav.doors')}</Title>
      <p>{t('doors.text')}</p>
      <Problem error={error} />
      {doors === null && error === null && <Loading />}
      {doors?.length === 0 && <Empty>{t('doors.none')}</Empty>}
      <ul class="tiles">
        {doors?.map(({ door, state, open }) => (
          <li key={door} class="card">
            <h2>{door}</h2>
            <p>
              <b>{maybe(`door.${state}`) ?? state}</b>
            </p>
            <p class="hint">
              {open === null ? t('doors.noContact') : open ? t('doors.open') : t('doors.closed')}
            </p>
            <Values title={t('doors.settings')} value={section(held, 'doors', door)} />
          </li>
        ))}
      </ul>
      <section class="card">
        <h2>{t('doors.rules')}</h2>
        <p class="hint">{t('doors.rulesText')}</p>
        <Values title={t('doors.rules')} value={section(held, 'access')} />
      </section>
    </>
  );
}

function section(held: Config | null, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (at as Record<string, unknown> | null)?.[key] ?? null,
    held?.config ?? null,
  );
}

/** Settings as a list of names and values, lists and sections inside one another. */
function Values({ title, value }: { title: string; value: unknown }) {
  if (typeof value !== 'object' || value === null) return null;
  const entries = Object.entries(value as Record<string, unknown>).filter(([, one]) => !isEmpty(one));
  if (entries.length === 0) return null;
  return (
    <dl class="values" aria-label={title}>
      {entries.map(([name, one]) => (
        <div key={name}>
          <dt>{Array.isArray(value) ? `${Number(name) + 1}` : name}</dt>
          <dd>{typeof one === 'object' ? <Values title={name} value={one} /> : String(one)}</dd>
        </div>
      ))}
    </dl>
  );
}

function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}
