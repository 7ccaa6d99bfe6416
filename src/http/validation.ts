import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { FacedError } from '../domain/errors.js';

const fieldChecks = new WeakMap<object, ReturnType<Ajv['compile']>>();
const strict = addAjvFormats(new Ajv({ allErrors: false, strict: false }));
const coercing = addAjvFormats(
  new Ajv({ allErrors: false, strict: false, coerceTypes: true, useDefaults: true }),
);

function addAjvFormats(ajv: Ajv): Ajv {
  (addFormats as unknown as (ajv: Ajv) => Ajv)(ajv);
  return ajv;
}

/** The fields that came beside pictures: text from a form is taken for what it should be. Throws `http.invalid`. */
export function checkFields(schema: object, fields: unknown): void {
  const check = fieldChecks.get(schema) ?? coercing.compile(schema);
  fieldChecks.set(schema, check);
  if (check(fields)) return;
  const [first] = check.errors ?? [];
  throw new FacedError(
    'http.invalid',
    `body${first?.instancePath ?? ''} ${first?.message ?? 'is malformed'}`,
  );
}

/** Validators are compiled when their route is first asked for: the daemon's start does not pay for them. Answers are ours and not checked. */
export function compilers() {
  return {
    // Fastify's types know ajv's own signature here; what it calls with is a definition of a route's part.
    buildValidator: (() => (definition: { schema: unknown; httpPart?: string | undefined }) => {
      const ajv = definition.httpPart === 'body' ? strict : coercing;
      let check: ReturnType<Ajv['compile']> | undefined;
      return (data: unknown) => {
        check ??= ajv.compile(definition.schema as object);
        if (check(data)) return { value: data };
        const [first] = check.errors ?? [];
        const where = `${definition.httpPart ?? ''}${first?.instancePath ?? ''}`;
        return { error: new FacedError('http.invalid', `${where} ${first?.message ?? 'is malformed'}`) };
      };
    }) as never,
    buildSerializer: () => () => (data: unknown) => JSON.stringify(data),
  };
}
