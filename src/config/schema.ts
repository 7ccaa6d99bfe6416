import { type Static, Type } from '@sinclair/typebox';
import { access } from './access.js';
import { audit } from './audit.js';
import { cameras } from './camera.js';
import { doors } from './door.js';
import { gallery } from './gallery.js';
import { http } from './http.js';
import { liveness } from './liveness.js';
import { mqtt } from './mqtt.js';
import { models, recognition } from './recognition.js';
import { schedule } from './schedule.js';
import { device, isolation, log } from './system.js';

/** The whole configuration: one file for each room, joined. */
export const ConfigSchema = Type.Object(
  {
    device,
    isolation,
    cameras,
    models,
    recognition,
    liveness,
    doors,
    access,
    gallery,
    audit,
    schedule,
    mqtt,
    http,
    log,
  },
  { title: 'faced', description: 'The configuration of faced.', additionalProperties: false },
);

/** As the schema has it; `device` may still be open. */
export type ConfigFile = Static<typeof ConfigSchema>;

/** A checked configuration with every default filled in. */
export interface Config extends Omit<ConfigFile, 'device'> {
  /** Safe for a topic: lower-case letters, digits, `-` and `_`. */
  device: string;
}

export type CameraConfig = Config['cameras'][string];
export type DoorConfig = Config['doors'][string];

/** The parts of a JSON Schema that this room reads. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly restart?: boolean;
  readonly path?: boolean;
  readonly says?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly items?: SchemaNode;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean;
}

/** The schema as plain JSON Schema. */
export const SCHEMA: SchemaNode = JSON.parse(JSON.stringify(ConfigSchema)) as SchemaNode;

/** The schema of a map's values (`cameras`), if this node is a map. */
export function mapValues(node: SchemaNode): SchemaNode | undefined {
  return node.patternProperties === undefined ? undefined : Object.values(node.patternProperties)[0];
}

export function isSection(node: SchemaNode): boolean {
  return node.properties !== undefined;
}
