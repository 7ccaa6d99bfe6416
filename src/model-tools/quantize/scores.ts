import { softmax } from '../../vision/similarity.js';
import type { Model } from '../graph/index.js';
import { type ImageForm, toBytes } from './image-input.js';
import { visitActivations } from './observe.js';

/** Mean difference of the scores of one class (softmax, 0 to 1) between a float classifier and its 8-bit form. */
export async function scoresApart(
  forms: { readonly float: Model; readonly quantised: Model; readonly image: ImageForm | null },
  inputs: readonly Float32Array[],
  { name, live }: { readonly name: string; readonly live: number },
): Promise<number> {
  const scores = async (model: Model, fed: readonly (Float32Array | Uint8Array)[]): Promise<number[]> => {
    const found: number[] = [];
    await visitActivations({
      model,
      names: [name],
      inputs: fed,
      optimisation: 'all',
      visit: (_, { data }) => found.push(softmax(data as Float32Array)[live] ?? 0),
    });
    return found;
  };
  const { float, quantised, image } = forms;
  const right = await scores(float, inputs);
  const mine = await scores(quantised, image === null ? inputs : inputs.map((one) => toBytes(one, image)));
  return mine.reduce((sum, score, at) => sum + Math.abs(score - (right[at] ?? 0)), 0) / mine.length;
}
