export { type Change, changes, changesNeedingRestart } from './changes.js';
export { accessPolicyOf, doorOptionsOf, doorsLiveness, isTrusted } from './door-options.js';
export { type ConfigEdit, type EditedConfig, editConfig, shownConfig } from './edit.js';
export { deviceName, type LoadedConfig, type LoadOptions, loadConfig } from './load.js';
export { isFileOnly } from './patch.js';
export { findConfigFile, makeStateDir, modelsDir, ROOT, settingsFile, stateDir } from './paths.js';
export { type CameraConfig, type Config, type DoorConfig, SCHEMA } from './schema.js';
