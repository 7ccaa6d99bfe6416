/**
 * What the pipeline and the compositions need of the rooms around them. The consumer owns the interface:
 * a new camera, backend, store or broker implements one of these and is chosen in a composition root.
 */
export type * from './ports/audit.js';
export type * from './ports/camera.js';
export type * from './ports/commands.js';
export type * from './ports/inference.js';
export type * from './ports/store.js';
export type * from './ports/vision.js';
