import { useRef, useState } from 'preact/hooks';
import { ask, Refusal } from '../api.js';
import { Button, qualityWords, worded } from '../parts.jsx';
import { maybe, t } from '../text.js';
import type { Enrolled } from '../types.js';

interface Sent {
  readonly file: string;
  readonly accepted: boolean;
  readonly text: string;
}

/** How often a picture is sent again when the daemon is busy. */
const TRIES = 20;

/** Many pictures of one person at once: dropped or chosen, sent one after the other, each with what became of it. */
export function Drop({ name, onDone }: { name: string; onDone: () => void }) {
  const [sent, setSent] = useState<readonly Sent[]>([]);
  const [total, setTotal] = useState(0);
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const ready = name.trim() !== '';
  const busy = sent.length < total;
  const take = async (files: readonly File[]) => {
    if (!ready || files.length === 0) return;
    setSent([]);
    setTotal(files.length);
    for (const file of files) {
      const one = await enrol(name, file);
      setSent((before) => [...before, one]);
    }
    onDone();
  };
  return (
    <div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the button below does the same for the keyboard */}
      <div
        class={`drop ${over ? 'over' : ''}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take([...(event.dataTransfer?.files ?? [])]);
        }}
      >
        <p>{t('drop.text')}</p>
        <Button disabled={!ready || busy} onClick={() => input.current?.click()}>
          {t('drop.choose')}
        </Button>
        <input
          ref={input}
          type="file"
          accept="image/*"
          multiple
          hidden
          aria-label={t('drop.choose')}
          onChange={(event) => {
            const files = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = '';
            void take(files);
          }}
        />
      </div>
      {total > 0 && (
        <>
          <progress value={sent.length} max={total} aria-label={t('drop.progress')} />
          <p role="status">
            {t('drop.done', {
              n: sent.length,
              of: total,
              taken: sent.filter(({ accepted }) => accepted).length,
            })}
          </p>
        </>
      )}
      <ul class="results">
        {sent.map(({ file, accepted, text }, index) => (
          <li key={index} class={accepted ? 'good' : 'bad'}>
            <b>{file}</b> {text}
          </li>
        ))}
      </ul>
    </div>
  );
}

async function enrol(name: string, file: File): Promise<Sent> {
  for (let tried = 0; ; tried++) {
    const raw = new FormData();
    raw.append('name', name);
    raw.append('image', file);
    try {
      const { accepted, quality, code, reason } = await ask<Enrolled>('/v1/enroll', { method: 'POST', raw });
      const text = accepted
        ? `${t('drop.taken')} ${quality === null ? '' : qualityWords(quality)}`
        : (maybe(`error.${code}`) ?? reason ?? t('drop.refused'));
      return { file: file.name, accepted, text };
    } catch (error) {
      const wait = error instanceof Refusal && error.code === 'busy' && tried < TRIES;
      if (!wait) return { file: file.name, accepted: false, text: worded(error).message };
      await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter ?? 1)));
    }
  }
}
