/**
 * ONNX Runtime for Linux reports to its maker from 1.29 on, unless this is set: the process, each model's name and hashes,
 * how often and how long it ran, under a number that it keeps in the home directory (its docs/Privacy.md). Of a door nothing
 * leaves the house. It is read once, before the first model; a worker thread cannot set it, since its `process.env` is a
 * copy, so whoever starts one imports this as well.
 */
process.env.ORT_DISABLE_TELEMETRY = '1';
