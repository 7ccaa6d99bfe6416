import { useState } from 'preact/hooks';
import { ask } from '../api.js';
import { useWork } from '../hooks.js';
import { Button, Field, Problem, Title } from '../parts.jsx';
import { t } from '../text.js';
import type { Session } from '../types.js';

/** Signing in, or making the first account with the code that the console shows. */
export function Enter({
  firstStart,
  onSession,
}: {
  firstStart: boolean;
  onSession: (session: Session) => void;
}) {
  // The address that `faced http open` shows carries the code where no server sees it.
  const [code, setCode] = useState(() => /^#code=([\w-]+)$/.exec(location.hash)?.[1] ?? '');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const { busy, error, run } = useWork();
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      const body = firstStart ? { name, password, code } : { name, password };
      onSession(
        await ask<Session>(firstStart ? '/v1/accounts/first' : '/v1/session', { method: 'POST', body }),
      );
    });
  };
  return (
    <form class="card enter" onSubmit={submit}>
      <Title>{firstStart ? t('enter.first') : t('enter.title')}</Title>
      <p>{firstStart ? t('enter.firstText') : t('enter.text')}</p>
      {firstStart && (
        <Field
          label={t('enter.code')}
          hint={t('enter.codeHint')}
          value={code}
          onValue={setCode}
          required
          autocomplete="one-time-code"
          spellcheck={false}
        />
      )}
      <Field label={t('enter.name')} value={name} onValue={setName} required autocomplete="username" />
      <Field
        label={t('enter.password')}
        {...(firstStart ? { hint: t('enter.passwordHint') } : {})}
        value={password}
        onValue={setPassword}
        required
        type="password"
        autocomplete={firstStart ? 'new-password' : 'current-password'}
      />
      <Problem error={error} place={firstStart ? 'first' : 'enter'} />
      <Button kind="main" type="submit" disabled={busy}>
        {firstStart ? t('enter.make') : t('enter.go')}
      </Button>
    </form>
  );
}
