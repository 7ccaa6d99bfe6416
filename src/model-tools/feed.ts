import type { ModelCard } from '../inference/card.js';
import { inputSize } from '../inference/card.js';
import type { Session, SessionTensor } from '../inference/raw-session.js';
import { fillTensor } from '../vision/tensor.js';

/** One aligned crop (112x112, BGR) as a session of this card's model takes it: normalised floats, or bytes. */
export function feedOf(session: Session, card: ModelCard, crop: Uint8Array): Record<string, SessionTensor> {
  const [input] = session.inputs;
  const { width, height } = inputSize(card.input);
  const window = { x: (112 - width) >> 1, y: (112 - height) >> 1, width, height };
  const image = { width: 112, height: 112, format: 'bgr24' as const, data: crop };
  const name = input?.name ?? card.input.name;
  if (input?.type === 'uint8') {
    const data = new Uint8Array(width * height * 3);
    for (let row = 0; row < height; row += 1) {
      const from = ((window.y + row) * 112 + window.x) * 3;
      data.set(crop.subarray(from, from + width * 3), row * width * 3);
    }
    return { [name]: { type: 'uint8', dims: [1, height, width, 3], data } };
  }
  const data = new Float32Array(width * height * 3);
  fillTensor(image, data, card.input, { window });
  return { [name]: { type: 'float32', dims: card.input.shape, data } };
}
