import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fetchDemoPhotos } from '../../src/inference/fetch.js';
import { fetchModels, ModelStore, modelsDir } from '../../src/inference/index.js';

/** The shipped models, fetched when they are not on this machine yet. */
export async function testModels(): Promise<string> {
  const dir = modelsDir();
  await fetchModels({ dir });
  return dir;
}

/** A store over the shipped models that is released after the test. */
export async function testStore(
  t: { after(done: () => Promise<void>): void },
  options: { variants?: boolean } = {},
): Promise<ModelStore> {
  const store = new ModelStore({ dir: await testModels(), ...options });
  t.after(() => store.releaseAll());
  return store;
}

/** Paths of the photographs with several faces that the demonstration uses. */
export async function demoPhotos(): Promise<string[]> {
  const photos = await fetchDemoPhotos(join(modelsDir(), 'demo'));
  if (!photos.every((path) => existsSync(path))) throw new Error('the photographs were not written');
  return photos;
}
