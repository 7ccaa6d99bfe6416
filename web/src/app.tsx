import type { ComponentChildren, FunctionComponent } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';
import { ask, signedIn, whenSignedOut } from './api.js';
import { useRoute, useStream } from './hooks.js';
import { Loading, Problem, Title } from './parts.jsx';
import { chooseLanguage, currentLanguage, type Key, t } from './text.js';
import type { Notice, Session } from './types.js';
import { Backup } from './views/backup.jsx';
import { Doors } from './views/doors.jsx';
import { Enrol } from './views/enrol.jsx';
import { Enter } from './views/enter.jsx';
import { Events } from './views/events.jsx';
import { Health } from './views/health.jsx';
import { Live } from './views/live.jsx';
import { People } from './views/people.jsx';
import { PersonView } from './views/person.jsx';
import { Settings } from './views/settings.jsx';
import { Start } from './views/start.jsx';
import { Unknown } from './views/unknown.jsx';
import { Why } from './views/why.jsx';

/** The first of the address, its view, and the second part that it takes. */
const VIEWS: Readonly<Record<string, FunctionComponent<{ id?: string }>>> = {
  live: Live,
  events: Events,
  people: People,
  unknown: Unknown,
  enrol: Enrol,
  doors: Doors,
  health: Health,
  settings: Settings,
  backup: Backup,
  start: Start,
};
const OF_ONE: Readonly<Record<string, FunctionComponent<{ id: string }>>> = {
  events: Why,
  people: PersonView,
};
/** When faced does not answer, it is asked again after so long. */
const AGAIN_MS = 3000;
const MAIN = ['live', 'events', 'people', 'unknown'] as const;
const FURTHER = ['doors', 'health', 'settings', 'backup'] as const;

export function App() {
  const [session, setSession] = useState<Session | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [language, setLanguage] = useState(currentLanguage());
  const look = useCallback(() => {
    ask<Session>('/v1/session')
      .then((found) => {
        setSession(signedIn(found));
        setError(null);
      })
      .catch(setError);
  }, []);
  useEffect(() => {
    whenSignedOut(look);
    look();
  }, [look]);
  useEffect(() => {
    if (error === null) return;
    const timer = setTimeout(look, AGAIN_MS);
    return () => clearTimeout(timer);
  }, [error, look]);
  const speak = (next: typeof language) => {
    chooseLanguage(next);
    setLanguage(next);
  };
  const other = language === 'en' ? 'zh' : 'en';
  const switcher = (
    <button
      type="button"
      class="language"
      lang={other === 'zh' ? 'zh-CN' : 'en'}
      onClick={() => speak(other)}
    >
      {other === 'zh' ? '中文' : 'English'}
    </button>
  );
  if (error !== null) return <Alone switcher={switcher}>{<Problem error={error} />}</Alone>;
  if (session === null) return <Alone switcher={switcher}>{<Loading />}</Alone>;
  if (session.account === null)
    return (
      <Alone switcher={switcher}>
        <Enter
          key={language}
          firstStart={session.firstStart}
          onSession={(found) => {
            location.hash = session.firstStart
              ? '/start'
              : location.hash.startsWith('#/')
                ? location.hash
                : '/live';
            setSession(signedIn(found));
          }}
        />
      </Alone>
    );
  return <House key={language} switcher={switcher} onLeft={look} />;
}

/** Without the navigation: nobody is signed in. */
function Alone({ children, switcher }: { children: ComponentChildren; switcher: ComponentChildren }) {
  return (
    <div class="alone">
      <header class="brand">
        <span>faced</span>
        {switcher}
      </header>
      <main id="main">{children}</main>
    </div>
  );
}

function House({ switcher, onLeft }: { switcher: ComponentChildren; onLeft: () => void }) {
  const [name = 'live', id] = useRoute();
  const OfOne = OF_ONE[name];
  const View = VIEWS[name] ?? Live;
  const leave = async () => {
    await ask('/v1/session', { method: 'DELETE' }).catch(() => undefined);
    onLeft();
  };
  useEffect(() => {
    document.title = `${title(name)} · faced`;
  }, [name]);
  const foot = (
    <>
      {switcher}
      <button type="button" class="language" onClick={leave}>
        {t('signOut')}
      </button>
    </>
  );
  const link = (to: string, also = '') => (
    <a key={to} class={also} href={`#/${to}`} aria-current={name === to ? 'page' : undefined}>
      {title(to)}
    </a>
  );
  return (
    <div class="house">
      <button type="button" class="skip" onClick={toMain}>
        {t('skip')}
      </button>
      <nav aria-label={t('nav')}>
        <span class="brand">faced</span>
        {MAIN.map((to) => link(to))}
        {FURTHER.map((to) => link(to, 'further'))}
        {link('more', 'more')}
        <div class="foot">{foot}</div>
      </nav>
      <main id="main" tabIndex={-1}>
        <Notices />
        {name === 'more' ? (
          <More foot={foot} />
        ) : OfOne !== undefined && id !== undefined ? (
          <OfOne key={id} id={id} />
        ) : (
          <View key={name} {...(id === undefined ? {} : { id })} />
        )}
      </main>
    </div>
  );
}

function toMain(): void {
  document.getElementById('main')?.focus();
}

function title(name: string): string {
  return t((name in VIEWS || name === 'more' ? `nav.${name}` : 'nav.live') as Key);
}

/** On a phone: what has no place in the bar. */
function More({ foot }: { foot: ComponentChildren }) {
  return (
    <>
      <Title>{t('nav.more')}</Title>
      <ul class="links">
        {FURTHER.map((to) => (
          <li key={to}>
            <a href={`#/${to}`}>{title(to)}</a>
          </li>
        ))}
      </ul>
      <div class="row">{foot}</div>
    </>
  );
}

/** What is wrong now, above every view. */
function Notices() {
  const [active, setActive] = useState<readonly Notice[]>([]);
  const look = useCallback(() => {
    ask<{ active: readonly Notice[] }>('/v1/notices')
      .then((found) => setActive(found.active))
      .catch(() => undefined);
  }, []);
  useEffect(look, [look]);
  useStream('/v1/events/live', {
    notice: look,
    recognition: (event) => dispatchEvent(new CustomEvent('faced:recognition', { detail: event })),
  });
  return (
    <div role="status" class="notices">
      {active.map(({ id, kind, message }) => (
        <p key={id} class="notice">
          <strong>{t(`notice.${kind}` as Key)}</strong> {message}
        </p>
      ))}
    </div>
  );
}
