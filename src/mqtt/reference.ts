/** Renders the part of docs/mqtt.md that follows from the catalogue and the schemas. */
import { CATALOGUE, type TopicEntry } from './catalogue.js';

export const BEGIN = '<!-- generated from src/mqtt/catalogue.ts: begin -->';
export const END = '<!-- generated: end -->';

/** As it stands in docs/mqtt.md: reads a payload from standard input and prints whether it is signed. */
export const verificationExample = `import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';

const payload = readFileSync(0, 'utf8').trimEnd();
const found = /,"sig":"([A-Za-z0-9_-]{86})"\\}$/.exec(payload);
const signed = found && Buffer.from(payload.slice(0, found.index) + '}');
const key = createPublicKey(readFileSync('faced.pub.pem'));
console.log(found !== null && verify(null, signed, key, Buffer.from(found[1], 'base64url')));
`;

/** What is read of a schema: a small part of JSON Schema, the part that schemas.ts uses. */
interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema | readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

export function renderReference(): string {
  const rows = CATALOGUE.map(
    ({ suffix, from, qos, retained }) =>
      `| [\`${suffix}\`](#${anchor(suffix)}) | ${from} | ${qos} | ${retained ? 'yes' : 'no'} |`,
  );
  return [
    '| topic under `faced/<device>/` | published by | QoS | retained |',
    '|---|---|---|---|',
    ...rows,
    '',
    ...CATALOGUE.flatMap(renderTopic),
  ].join('\n');
}

function anchor(suffix: string): string {
  return suffix.replace('/', '');
}

function renderTopic(entry: TopicEntry): string[] {
  const schema = entry.schema as Schema | null;
  const variants = (schema?.anyOf ?? (schema === null ? [] : [schema])).filter(
    ({ properties }) => properties !== undefined,
  );
  return [
    `### \`${entry.suffix}\``,
    '',
    entry.text,
    '',
    ...variants.flatMap((variant, index) => [
      ...(variants.length > 1 ? [index === 0 ? 'Either:' : 'or:', ''] : []),
      '| field | form | meaning |',
      '|---|---|---|',
      ...renderFields(variant, ''),
      '',
    ]),
    ...entry.examples.flatMap((example) => [
      typeof example === 'string' ? '```text' : '```json',
      typeof example === 'string' ? example : JSON.stringify(example),
      '```',
      '',
    ]),
    ...(schema === null || typeof entry.examples[0] === 'string'
      ? []
      : [
          '<details><summary>JSON Schema</summary>',
          '',
          '```json',
          JSON.stringify(schema, null, 2),
          '```',
          '',
          '</details>',
          '',
        ]),
  ];
}

function renderFields(schema: Schema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const optional = schema.required?.includes(name) === true ? '' : ', may be absent';
    const row = `| \`${path}\` | ${form(field)}${optional} | ${field.description ?? ''} |`;
    const inner = [field, ...(field.anyOf ?? [])];
    const items = field.items !== undefined && !Array.isArray(field.items) ? [field.items as Schema] : [];
    return [
      row,
      ...inner.flatMap((one) => renderFields(one, `${path}.`)),
      ...items.flatMap((one) => renderFields(one, `${path}[].`)),
    ];
  });
}

function form(schema: Schema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`"${String(value)}"\``).join(', ');
  if (schema.anyOf !== undefined) return schema.anyOf.map(form).join(' or ');
  if (Array.isArray(schema.items)) return `array of ${schema.items.length} numbers`;
  const low = schema.minimum ?? schema.minLength;
  const high = schema.maximum ?? schema.maxLength;
  const unit = schema.type === 'string' ? ' characters' : '';
  const range =
    low !== undefined && high !== undefined
      ? `, ${low} to ${high}${unit}`
      : low !== undefined
        ? `, at least ${low}${unit}`
        : '';
  return `${schema.type ?? 'any'}${range}`;
}
