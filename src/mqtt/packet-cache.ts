import { writeToStream } from 'mqtt-packet';

/**
 * Importing this keeps mqtt-packet, which client and broker share, from making 65,536 buffers at its first packet, one
 * for each 16-bit number: 7 MB that stay, and 30 ms in which the main thread does nothing else (docs/performance.md).
 */
writeToStream.cacheNumbers = false;
