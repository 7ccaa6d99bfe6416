import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Refusal } from './api.js';
import { maybe, t } from './text.js';
import type { Decision, FaceQuality } from './types.js';

/** An error as a sentence, with its mend. */
export function Problem({ error, place }: { readonly error: unknown; readonly place?: string }) {
  if (error === null || error === undefined) return null;
  const { message, fix } = worded(error, place);
  return (
    <div class="problem" role="alert">
      <p>{message}</p>
      {fix !== null && <p class="mend">{fix}</p>}
    </div>
  );
}

/** Codes whose own words say more than the code: which setting, which face. */
const TELLING = new Set([
  'config.invalid',
  'http.invalid',
  'http.conflict',
  'enroll.poor',
  'promise.unmeasured',
]);

/** In the page's language where it has words for the code (first those of a place), else the daemon's own. */
export function worded(error: unknown, place = ''): { message: string; fix: string | null } {
  if (!(error instanceof Refusal)) return { message: t('error.page'), fix: t('mend.page') };
  const { code, message: own, fix, retryAfter } = error;
  const general = maybe(`error.${place}.${code}`) ?? maybe(`error.${code}`);
  const message =
    general === null ? sentence(own) : TELLING.has(code) ? `${general} ${sentence(own)}` : general;
  const wait = retryAfter !== null && retryAfter > 1 ? t('mend.wait', { s: retryAfter }) : null;
  const mend = maybe(`mend.${place}.${code}`) ?? maybe(`mend.${code}`);
  return { message, fix: wait ?? mend ?? (fix === null ? null : sentence(fix)) };
}

/** The daemon's messages begin small, as parts of its log lines. */
function sentence(text: string): string {
  // The path of a setting stays as it is written.
  const path = /^\w+\.\w/.test(text);
  const first = path ? text : `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  return /[.!?:]$/.test(first) ? first : `${first}.`;
}

type InputProps = Omit<JSX.InputHTMLAttributes, 'label' | 'onInput' | 'value'>;

export function Field({
  label,
  hint,
  value,
  onValue,
  ...rest
}: InputProps & { label: string; hint?: string; value: string; onValue: (value: string) => void }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...rest}
        id={id}
        value={value}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

export function Choice({
  label,
  value,
  options,
  onValue,
}: {
  label: string;
  value: string;
  options: readonly (readonly [value: string, text: string])[];
  onValue: (value: string) => void;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
        {options.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

export function Button({
  children,
  kind = 'plain',
  ...rest
}: Omit<JSX.ButtonHTMLAttributes, 'kind'> & {
  kind?: 'plain' | 'main' | 'danger';
  children: ComponentChildren;
}) {
  return (
    <button type="button" {...rest} class={`button ${kind}`}>
      {children}
    </button>
  );
}

/** A title that takes the focus when its view is opened, so that a screen reader says where one is. */
export function Title({ children, side }: { children: ComponentChildren; side?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <header class="title">
      <h1 tabIndex={-1} ref={heading}>
        {children}
      </h1>
      {side}
    </header>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Loading() {
  return (
    <p class="empty" role="status">
      {t('loading')}
    </p>
  );
}

export function Badge({ decision }: { decision: Decision | null }) {
  if (decision === null) return <span class="badge looking">{t('decision.looking')}</span>;
  return <span class={`badge ${decision}`}>{t(`decision.${decision}`)}</span>;
}

/** A share of 1 as a bar, with its number and what it is called. */
export function Meter({ label, value, mark }: { label: string; value: number; mark?: number | null }) {
  const share = Math.min(1, Math.max(0, value));
  return (
    <div class="meter">
      <span class="meter-label">{label}</span>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="6" />
        <rect class="fill" width={100 * share} height="6" />
        {typeof mark === 'number' && <rect class="mark" x={100 * mark - 0.5} width="1" height="6" />}
      </svg>
      <span class="meter-value">{value.toFixed(2)}</span>
    </div>
  );
}

/** What could be better about a picture of a face, as a sentence. */
export function qualityWords({ size, yaw, pitch, brightness, score }: FaceQuality): string {
  if (score >= 0.6) return t('quality.good');
  if (size < 80) return t('quality.small');
  if (Math.abs(yaw) > 25 || Math.abs(pitch) > 25) return t('quality.turned');
  if (brightness < 60) return t('quality.dark');
  if (brightness > 210) return t('quality.bright');
  return t('quality.soft');
}

/** Asks before something that cannot be taken back. The browser's own dialog keeps the focus inside. */
export function Confirm({
  label,
  question,
  onYes,
}: {
  label: string;
  question: string;
  onYes: () => Promise<void>;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const id = useId();
  const yes = async () => {
    setBusy(true);
    setError(null);
    try {
      await onYes();
      dialog.current?.close();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button kind="danger" onClick={() => dialog.current?.showModal()}>
        {label}
      </Button>
      <dialog ref={dialog} aria-labelledby={id}>
        <p id={id}>{question}</p>
        <Problem error={error} />
        <div class="row">
          <Button onClick={() => dialog.current?.close()}>{t('cancel')}</Button>
          <Button kind="danger" disabled={busy} onClick={yes}>
            {label}
          </Button>
        </div>
      </dialog>
    </>
  );
}

/** One line of a list of figures (`dl`). */
export function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
