export { createStore } from './client.js';
export type { Scoring } from './search.js';
export type { StoreOptions } from './thread.js';
