import type { ModelCard } from '../inference/card.js';
import { inputSize } from '../inference/card.js';
import type { Session, SessionTensor } from '../inference/raw-session.js';
import { fillTensor } from '../vision/tensor.js';

/**
 * One aligned crop (112x112, BGR) as a session of this card's model takes it: normalised floats, or bytes. `mirror`:
 * left and right exchanged.
 */
export function feedOf(
  session: Session,
  card: ModelCard,
  crop: Uint8Array,
  mirror = false,
): Record<string, SessionTensor> {
  const [input] = session.inputs;
  const { width, height } = inputSize(card.input);
  const window = { x: (112 - width) >> 1, y: (112 - height) >> 1, width, height };
  const image = { width: 112, height: 112, format: 'bgr24' as const, data: crop };
  const name = input?.name ?? card.input.name;
  const asBytes = input?.type === 'uint8';
  const data = asBytes ? new Uint8Array(width * height * 3) : new Float32Array(width * height * 3);
  fillTensor(image, data, card.input, { window, mirror });
  const dims = asBytes ? [1, height, width, 3] : card.input.shape;
  return { [name]: { type: asBytes ? 'uint8' : 'float32', dims, data } };
}
