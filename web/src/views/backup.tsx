import { useRef, useState } from 'preact/hooks';
import { ask } from '../api.js';
import { Button, Confirm, Title } from '../parts.jsx';
import { t, when } from '../text.js';

interface Restored {
  readonly people: number;
  readonly samples: number;
  readonly madeAt: number;
}

/** A backup to be kept elsewhere, and one put back. */
export function Backup() {
  const input = useRef<HTMLInputElement>(null);
  const [file, setFile] = useState<File | null>(null);
  const [restored, setRestored] = useState<Restored | null>(null);
  return (
    <>
      <Title>{t('nav.backup')}</Title>
      <section class="card">
        <h2>{t('backup.make')}</h2>
        <p>{t('backup.makeText')}</p>
        <a class="button main" href="/v1/backup" download>
          {t('backup.download')}
        </a>
      </section>
      <section class="card">
        <h2>{t('backup.restore')}</h2>
        <p>{t('backup.restoreText')}</p>
        <input
          ref={input}
          type="file"
          hidden
          aria-label={t('backup.choose')}
          onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)}
        />
        <div class="row">
          <Button onClick={() => input.current?.click()}>{t('backup.choose')}</Button>
          {file !== null && (
            <Confirm
              label={t('backup.restore')}
              question={t('backup.restoreAsk', { file: file.name })}
              onYes={async () => {
                setRestored(
                  await ask<Restored>('/v1/restore', {
                    method: 'POST',
                    raw: file,
                    type: 'application/vnd.sqlite3',
                  }),
                );
                setFile(null);
              }}
            />
          )}
        </div>
        <p role="status">
          {file?.name}
          {restored !== null &&
            t('backup.restored', {
              people: restored.people,
              samples: restored.samples,
              time: when(restored.madeAt),
            })}
        </p>
      </section>
    </>
  );
}
