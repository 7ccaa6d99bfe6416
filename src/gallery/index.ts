export { createStore, type StoreOptions } from './client.js';
export type { Scoring } from './search.js';
