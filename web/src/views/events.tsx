import { useEffect, useMemo, useState } from 'preact/hooks';
import { ask } from '../api.js';
import { useAsked, useWork } from '../hooks.js';
import { Badge, Button, Choice, Empty, Field, Loading, Problem, Title } from '../parts.jsx';
import { clock, day, t } from '../text.js';
import type { CameraHealth, Decision, Event, Person } from '../types.js';

const DECISIONS: readonly Decision[] = ['known', 'unknown', 'ambiguous', 'spoof', 'poor'];

interface Filter {
  readonly decision: string;
  readonly person: string;
  readonly camera: string;
  /** A day as the browser's date field gives it. */
  readonly day: string;
}

const ALL: Filter = { decision: '', person: '', camera: '', day: '' };

/** Who came, newest first, with what comes meanwhile. */
export function Events() {
  const [filter, setFilter] = useState(ALL);
  const query = useMemo(() => queryOf(filter), [filter]);
  return (
    <>
      <Title>{t('nav.events')}</Title>
      <Filters filter={filter} onFilter={setFilter} />
      <Timeline key={query} query={query} filter={filter} />
      <p>
        <a class="button" href={`/v1/events/export${query === '' ? '' : `?${query}`}`} download>
          {t('events.export')}
        </a>
      </p>
    </>
  );
}

function Filters({ filter, onFilter }: { filter: Filter; onFilter: (filter: Filter) => void }) {
  const people = useAsked<{ people: readonly Person[] }>('/v1/people').answer?.people ?? [];
  const cameras = useAsked<{ cameras: readonly CameraHealth[] }>('/v1/cameras').answer?.cameras ?? [];
  const set = (key: keyof Filter) => (value: string) => onFilter({ ...filter, [key]: value });
  return (
    <search class="filters">
      <Choice
        label={t('events.decision')}
        value={filter.decision}
        options={[['', t('all')], ...DECISIONS.map((one) => [one, t(`decision.${one}`)] as const)]}
        onValue={set('decision')}
      />
      <Choice
        label={t('events.person')}
        value={filter.person}
        options={[['', t('all')], ...people.map(({ id, name }) => [id, name] as const)]}
        onValue={set('person')}
      />
      <Choice
        label={t('live.camera')}
        value={filter.camera}
        options={[['', t('all')], ...cameras.map(({ camera }) => [camera, camera] as const)]}
        onValue={set('camera')}
      />
      <Field label={t('events.day')} type="date" value={filter.day} onValue={set('day')} />
    </search>
  );
}

interface PageOfEvents {
  readonly events: readonly Event[];
  readonly next: string | null;
}

function Timeline({ query, filter }: { query: string; filter: Filter }) {
  const [events, setEvents] = useState<readonly Event[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [loaded, setLoaded] = useState(false);
  const { busy, error, run } = useWork();
  const load = (before: string | null) =>
    run(async () => {
      const more = before === null ? '' : `&before=${before}`;
      const page = await ask<PageOfEvents>(`/v1/events?limit=50&${query}${more}`);
      setEvents((had) => [...had, ...page.events.filter(({ id }) => had.every((one) => one.id !== id))]);
      setNext(page.next);
      setLoaded(true);
    });
  // Once for each query: the key of this view changes with it.
  useEffect(() => {
    void load(null);
    const came = (event: globalThis.Event) => {
      const { detail } = event as CustomEvent<Event>;
      if (fits(detail, filter)) setEvents((had) => [detail, ...had.filter(({ id }) => id !== detail.id)]);
    };
    addEventListener('faced:recognition', came);
    return () => removeEventListener('faced:recognition', came);
  }, []);
  return (
    <>
      <Problem error={error} />
      {!loaded && error === null && <Loading />}
      {loaded && events.length === 0 && <Empty>{t('events.none')}</Empty>}
      {byDay(events).map(([title, those]) => (
        <section key={title}>
          <h2>{title}</h2>
          <ol class="timeline">
            {those.map((event) => (
              <li key={event.id}>
                <a href={`#/events/${event.id}`}>
                  <time dateTime={event.time}>{clock(event.time)}</time>
                  <b>{event.person?.name ?? t('live.somebody')}</b>
                  <Badge decision={event.decision} />
                  <small>{event.camera}</small>
                  <span class="ask">{t('events.why')}</span>
                </a>
              </li>
            ))}
          </ol>
        </section>
      ))}
      {next !== null && (
        <Button disabled={busy} onClick={() => load(next)}>
          {t('events.more')}
        </Button>
      )}
    </>
  );
}

function queryOf({ decision, person, camera, day: date }: Filter): string {
  const query = new URLSearchParams();
  if (decision !== '') query.set('decision', decision);
  if (person !== '') query.set('person', person);
  if (camera !== '') query.set('camera', camera);
  const span = spanOf(date);
  if (span !== null) {
    query.set('from', span.from.toISOString());
    query.set('to', span.to.toISOString());
  }
  return query.toString();
}

/** The day in the time zone of whoever looks. */
function spanOf(date: string): { from: Date; to: Date } | null {
  if (date === '') return null;
  const from = new Date(`${date}T00:00`);
  const to = new Date(from);
  to.setDate(to.getDate() + 1);
  return { from, to };
}

function fits(event: Event, { decision, person, camera, day: date }: Filter): boolean {
  const span = spanOf(date);
  const at = Date.parse(event.time);
  return (
    (decision === '' || event.decision === decision) &&
    (person === '' || event.person?.id === person) &&
    (camera === '' || event.camera === camera) &&
    (span === null || (at >= span.from.getTime() && at < span.to.getTime()))
  );
}

function byDay(events: readonly Event[]): [string, Event[]][] {
  const days = new Map<string, Event[]>();
  for (const event of events) {
    const title = day(event.time);
    const those = days.get(title) ?? [];
    those.push(event);
    days.set(title, those);
  }
  return [...days];
}
