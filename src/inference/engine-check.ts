import { FacedError } from '../domain/errors.js';
import type { ModelCard } from './card.js';
import { EngineClient } from './engine-client.js';
import { type EngineHello, elements } from './engine-wire.js';
import { outputNames } from './session.js';
import { answersOf, fillProbes, LEAST_COSINE, leastCosine, PROBES, storedAnswers } from './stored-answers.js';

/** Pictures that share a run; more gains nothing at these sizes and costs memory. */
export const MAX_BATCH = 8;
/** Longest time for an answer of an engine. */
export const DEFAULT_PATIENCE_MS = 2000;

export interface EngineToCheck {
  readonly card: ModelCard;
  /** For the words of the error. */
  readonly socket: string;
  /** What the model answers to the probes in FP32; null: only whose model it is is looked at. */
  readonly expected: () => Promise<readonly Float32Array[] | null>;
}

/**
 * Whether an engine runs our model, and answers as that does in FP32: resolves with the least cosine, null where there
 * is nothing to compare with. Rejects with `backend.refused`.
 */
export async function checkEngine(
  client: EngineClient,
  { card, socket, expected }: EngineToCheck,
): Promise<number | null> {
  const wrong = mismatch(client.hello, card);
  if (wrong !== null) {
    throw new FacedError('backend.refused', `the engine at ${socket} ${wrong}`, {
      fix: `Make the engine from this model: faced model engine ${card.id}`,
    });
  }
  const answers = await expected();
  if (answers === null) return null;
  const probes = new Float32Array(elements(card.input.shape) * PROBES);
  fillProbes(probes, card);
  const cosine = leastCosine(answers, answersOf(card, await client.run(probes, PROBES)));
  if (cosine >= LEAST_COSINE) return cosine;
  throw new FacedError(
    'backend.refused',
    `the engine answers differently from FP32: cosine ${cosine.toFixed(5)}, at least ${LEAST_COSINE} is needed`,
    { fix: `Make the engine again from the half or float model: faced model engine ${card.id}` },
  );
}

/** Asks the engine at a socket once, as `faced doctor` does. Rejects with what is wrong and the mend. */
export async function askEngine({ socket, card }: { readonly socket: string; readonly card: ModelCard }) {
  const client = await EngineClient.open({ socket, patienceMs: DEFAULT_PATIENCE_MS, onLost: () => {} });
  try {
    const cosine = await checkEngine(client, { card, socket, expected: () => storedAnswers(card) });
    const { engine, engineVersion, board, precision } = client.hello;
    return { engine, engineVersion, board, precision, cosine };
  } finally {
    client.close();
  }
}

/** What is wrong with the engine, as the end of a sentence; null when it is the card's model. */
function mismatch(hello: EngineHello, card: ModelCard): string | null {
  if (![hello.model, hello.derivedFrom, hello.sha256].includes(card.sha256))
    return `runs another model than ${card.id} (made from ${hello.model.slice(0, 12)}…)`;
  if (elements(hello.input.shape) !== elements(card.input.shape))
    return `takes [${hello.input.shape}] and the card says [${card.input.shape}]`;
  if (hello.maxBatch < MAX_BATCH) return `takes batches of ${hello.maxBatch}, ${MAX_BATCH} are needed`;
  const names = hello.outputs.map(({ name }) => name);
  const missing = outputNames(card.output).find((name) => !names.includes(name));
  return missing === undefined ? null : `answers ${names.join(', ')}, the card names ${missing}`;
}
