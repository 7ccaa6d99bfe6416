import { useId, useState } from 'preact/hooks';
import { ask } from '../api.js';
import { useAsked, useWork } from '../hooks.js';
import { Button, Loading, Problem, Title } from '../parts.jsx';
import { t } from '../text.js';
import type { Config, Schema } from '../types.js';

interface Changed {
  readonly needRestart: readonly string[];
  readonly overridden: readonly string[];
}

/** Every setting with what its schema says of it; those that stand in the file only can be read. */
export function Settings() {
  const { answer, error, again } = useAsked<Config>('/v1/config');
  const [changed, setChanged] = useState<Changed | null>(null);
  if (answer === null) return error === null ? <Loading /> : <Problem error={error} />;
  const sections = Object.entries(answer.schema.properties ?? {});
  return (
    <>
      <Title>{t('nav.settings')}</Title>
      <p>{t('settings.text')}</p>
      <div role="status">
        {changed !== null && (
          <p class="good-news">
            {t('settings.saved')}
            {changed.needRestart.length > 0 &&
              ` ${t('settings.restart', { what: changed.needRestart.join(', ') })}`}
            {changed.overridden.length > 0 &&
              ` ${t('settings.overridden', { what: changed.overridden.join(', ') })}`}
          </p>
        )}
      </div>
      {sections.map(([name, schema]) => (
        <Section
          key={name}
          name={name}
          schema={schema}
          held={answer}
          onSaved={(now) => {
            setChanged(now);
            again();
          }}
        />
      ))}
    </>
  );
}

function Section({
  name,
  schema,
  held,
  onSaved,
}: {
  name: string;
  schema: Schema;
  held: Config;
  onSaved: (changed: Changed) => void;
}) {
  const value = held.config[name];
  return (
    <details class="card">
      <summary>
        <h2>{name}</h2>
      </summary>
      {schema.description !== undefined && <p>{schema.description}</p>}
      {schema.properties === undefined ? (
        <Setting path={[name]} schema={schema} value={value} held={held} onSaved={onSaved} />
      ) : (
        <Settled path={[name]} schema={schema} value={value} held={held} onSaved={onSaved} />
      )}
    </details>
  );
}

interface Place {
  readonly path: readonly string[];
  readonly schema: Schema;
  readonly value: unknown;
  readonly held: Config;
  readonly onSaved: (changed: Changed) => void;
}

function Settled({ path, schema, value, held, onSaved }: Place) {
  return (
    <>
      {Object.entries(schema.properties ?? {}).map(([key, one]) => {
        const place = {
          path: [...path, key],
          schema: one,
          value: (value as Record<string, unknown> | null)?.[key],
          held,
          onSaved,
        };
        return one.properties === undefined ? (
          <Setting key={key} {...place} />
        ) : (
          <Settled key={key} {...place} />
        );
      })}
    </>
  );
}

/** One setting. What is no plain value is shown as it stands in the file. */
function Setting({ path, schema, value, held, onSaved }: Place) {
  const id = useId();
  const name = path.join('.');
  const kind = kindOf(schema);
  const [text, setText] = useState(value === null || value === undefined ? '' : String(value));
  const { busy, error, run } = useWork();
  const fixed = kind === 'other' || held.fileOnly.some((one) => one === name || one.startsWith(`${name}.`));
  const save = () =>
    run(async () => {
      const body = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), written(text, kind));
      onSaved(await ask<Changed>('/v1/config', { method: 'PATCH', body: body as object }));
    });
  return (
    <div class="setting">
      {fixed ? (
        <p class="name" id={id}>
          {name}
        </p>
      ) : (
        <label class="name" for={id}>
          {name}
        </label>
      )}
      <p class="hint" id={`${id}-hint`}>
        {schema.description}
      </p>
      {fixed ? (
        <p>
          <code>{JSON.stringify(value ?? null)}</code> <small>{t('settings.fileOnly')}</small>
        </p>
      ) : (
        <div class="row">
          {kind === 'choice' ? (
            <select
              id={id}
              aria-describedby={`${id}-hint`}
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
            >
              {choices(schema).map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          ) : (
            <input
              id={id}
              aria-describedby={`${id}-hint`}
              type={kind === 'number' ? 'number' : 'text'}
              step="any"
              min={schema.minimum}
              max={schema.maximum}
              value={text}
              placeholder={t('settings.default')}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          )}
          <Button
            disabled={busy || text === String(value ?? '')}
            onClick={save}
            aria-label={`${t('save')}: ${name}`}
          >
            {t('save')}
          </Button>
        </div>
      )}
      <Problem error={error} />
    </div>
  );
}

type Kind = 'choice' | 'number' | 'text' | 'other';

function kindOf({ type, enum: values }: Schema): Kind {
  const types = typeof type === 'string' ? [type] : (type ?? []);
  if (values !== undefined || types.includes('boolean')) return 'choice';
  if (types.includes('number') || types.includes('integer')) return 'number';
  return types.includes('string') ? 'text' : 'other';
}

function choices({ enum: values }: Schema): string[] {
  return (values ?? [true, false]).map(String);
}

/** Nothing written brings the default back. */
function written(text: string, kind: Kind): unknown {
  if (text === '' || text === 'null') return null;
  if (kind === 'number') return Number(text);
  if (kind === 'choice' && (text === 'true' || text === 'false')) return text === 'true';
  if (kind === 'choice' && /^\d+$/.test(text)) return Number(text);
  return text;
}
