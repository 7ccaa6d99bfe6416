import { createHash } from 'node:crypto';
import { DOOR_EVENTS } from './schemas.js';
import { topicsOf } from './topics.js';

export interface DiscoveryDoor {
  readonly id: string;
  /** False when commands have to be signed: Home Assistant's templates cannot do that, so it only shows the door. */
  readonly commands: boolean;
}

export interface DiscoveryAbout {
  readonly device: string;
  /** Version of faced. */
  readonly version: string;
  readonly cameras: readonly string[];
  /** Whether pictures are published on `snapshot`. */
  readonly snapshots: boolean;
  /** Whether `control/set` is taken. */
  readonly controls: boolean;
  readonly doors: readonly DiscoveryDoor[];
  /** So long after an event a face counts as present, in seconds. */
  readonly presentS: number;
}

export interface Component {
  readonly platform: string;
  readonly [key: string]: unknown;
}

export interface DiscoveryPayload {
  readonly device: Readonly<Record<string, unknown>>;
  readonly origin: Readonly<Record<string, unknown>>;
  readonly availability_topic: string;
  readonly components: Readonly<Record<string, Component>>;
}

/** A command made by Home Assistant is void after this: long enough for a slow broker, too short to be of use later. */
const COMMAND_LIFE_S = 10;

/** The id of a device in topics and ids of Home Assistant, which allow letters, digits, `_` and `-`. */
export function discoveryId(device: string): string {
  if (/^[A-Za-z0-9_-]+$/.test(device)) return `faced_${device}`;
  return `faced_${createHash('sha256').update(device).digest('hex').slice(0, 12)}`;
}

/** The device and its entities, as Home Assistant's MQTT integration takes them (device discovery, since 2024.12). */
export function discoveryPayload(about: DiscoveryAbout): DiscoveryPayload {
  const { device, version } = about;
  const id = discoveryId(device);
  const entities = { ...people(about), ...health(about), ...controls(about), ...doors(about) };
  return {
    device: { identifiers: [id], name: `faced ${device}`, manufacturer: 'faced', sw_version: version },
    origin: { name: 'faced', sw_version: version },
    availability_topic: topicsOf(device).status,
    components: Object.fromEntries(
      Object.entries(entities).map(([name, entity]) => [
        name,
        {
          ...entity,
          unique_id: `${id}_${name}`,
          default_entity_id: `${entity.platform}.${`${id}_${name}`.toLowerCase().replaceAll('-', '_')}`,
        },
      ]),
    ),
  };
}

function people({ device, cameras, snapshots, presentS }: DiscoveryAbout): Record<string, Component> {
  const { recognition, snapshot } = topicsOf(device);
  const present = cameras.map((camera): [string, Component] => [
    `face_${camera}`,
    {
      platform: 'binary_sensor',
      name: `Face at ${camera}`,
      device_class: 'occupancy',
      state_topic: recognition,
      // Nothing at all for other cameras: an empty text leaves the state as it is.
      value_template: `{{ 'ON' if value_json.camera == ${JSON.stringify(camera)} else '' }}`,
      off_delay: presentS,
    },
  ]);
  return {
    recognition: {
      platform: 'event',
      name: 'Recognition',
      icon: 'mdi:face-recognition',
      event_types: ['known', 'unknown', 'ambiguous', 'spoof', 'poor'],
      state_topic: recognition,
      value_template: eventTemplate('value_json.decision', {
        id: 'value_json.id',
        camera: 'value_json.camera',
        person: 'value_json.person.name if value_json.person else none',
        person_id: 'value_json.person.id if value_json.person else none',
        similarity: 'value_json.similarity',
        liveness: 'value_json.liveness',
        attributes: 'value_json.attributes if value_json.attributes else {}',
      }),
    },
    person: {
      platform: 'sensor',
      name: 'Last person',
      icon: 'mdi:account',
      state_topic: recognition,
      value_template: '{{ value_json.person.name if value_json.person else this.state }}',
    },
    similarity: {
      platform: 'sensor',
      name: 'Last similarity',
      icon: 'mdi:percent-outline',
      state_topic: recognition,
      value_template: '{{ value_json.similarity }}',
      state_class: 'measurement',
      suggested_display_precision: 2,
    },
    ...Object.fromEntries(present),
    ...(snapshots
      ? {
          snapshot: {
            platform: 'image',
            name: 'Snapshot',
            image_topic: snapshot,
            content_type: 'image/jpeg',
          },
        }
      : {}),
  };
}

/** A fresh id and a short life for each press: a bare, late or repeated command does nothing. */
function command(rest: string): string {
  return (
    '{% set now_s = now().timestamp() %}' +
    '{"id":"ha-{{ (now_s * 1000) | int }}-{{ range(100000) | random }}-{{ range(100000) | random }}",' +
    `"exp":{{ (now_s | int) + ${COMMAND_LIFE_S} }},${rest}}`
  );
}

function controls({ device, cameras, snapshots, controls: on }: DiscoveryAbout): Record<string, Component> {
  if (!on) return {};
  const { controlSet, controlState } = topicsOf(device);
  const shots = (snapshots ? cameras : []).map((camera): [string, Component] => [
    `take_${camera}`,
    {
      platform: 'button',
      name: `Picture from ${camera}`,
      icon: 'mdi:camera',
      command_topic: controlSet,
      command_template: command(`"action":"snapshot","camera":${JSON.stringify(camera)}`),
      qos: 1,
      retain: false,
    },
  ]);
  return {
    recognising: {
      platform: 'switch',
      name: 'Recognition',
      icon: 'mdi:face-recognition',
      state_topic: controlState,
      value_template: '{{ value_json.recognition }}',
      state_on: 'on',
      state_off: 'paused',
      command_topic: controlSet,
      payload_on: 'resume',
      payload_off: 'pause',
      command_template: command('"action":"{{ value }}"'),
      qos: 1,
      retain: false,
      optimistic: false,
    },
    ...Object.fromEntries(shots),
  };
}

function health({ device, cameras }: DiscoveryAbout): Record<string, Component> {
  const topics = topicsOf(device);
  const figure = (name: string, topic: string, value: string, more: object = {}): Component => ({
    platform: 'sensor',
    name,
    entity_category: 'diagnostic',
    state_topic: topic,
    value_template: `{{ ${value} }}`,
    state_class: 'measurement',
    ...more,
  });
  return {
    problem: {
      platform: 'binary_sensor',
      name: 'Problem',
      device_class: 'problem',
      entity_category: 'diagnostic',
      state_topic: topics.health,
      value_template: "{{ 'OFF' if value_json.state == 'ok' else 'ON' }}",
      json_attributes_topic: topics.health,
      json_attributes_template: "{{ {'problems': value_json.problems} | to_json }}",
    },
    outbox: figure('Events waiting', topics.health, 'value_json.outbox.waiting'),
    memory: figure('Memory', topics.health, '(value_json.rssBytes / 1048576) | round(1)', {
      device_class: 'data_size',
      unit_of_measurement: 'MiB',
    }),
    memory_level: {
      platform: 'sensor',
      name: 'Memory level',
      entity_category: 'diagnostic',
      device_class: 'enum',
      options: ['enough', 'low', 'critical'],
      state_topic: topics.health,
      value_template:
        "{% set level = value_json.machine.memoryLevel %}{{ 'None' if level is none else ['enough', 'low', 'critical'][level] }}",
    },
    temperature: figure('Temperature', topics.health, 'value_json.machine.temperatureC', {
      device_class: 'temperature',
      unit_of_measurement: '°C',
    }),
    ...Object.fromEntries(
      cameras.map((camera) => [
        `fps_${camera}`,
        figure(
          `Frame rate of ${camera}`,
          topics.health,
          `value_json.cameras | selectattr('camera', 'eq', ${JSON.stringify(camera)}) | map(attribute='fps') | first | default(none)`,
          { unit_of_measurement: 'fps' },
        ),
      ]),
    ),
    uptime: figure('Uptime', topics.health, 'value_json.uptimeS', {
      device_class: 'duration',
      unit_of_measurement: 's',
    }),
    people: figure('People', topics.gallery, 'value_json.people'),
    samples: figure('Samples', topics.gallery, 'value_json.samples'),
  };
}

function doors({ device, doors: all }: DiscoveryAbout): Record<string, Component> {
  const topics = topicsOf(device);
  const entries = all.flatMap(({ id, commands }): [string, Component][] => {
    const state = `value_json.doors[${JSON.stringify(id)}]`;
    return [
      [`lock_${id}`, commands ? lock(device, id) : lockShown(device, id)],
      [
        `door_${id}`,
        {
          platform: 'binary_sensor',
          name: `Door ${id}`,
          device_class: 'door',
          state_topic: topics.lockState,
          value_template: `{% set open = ${state}.open %}{{ 'None' if open is none else 'ON' if open else 'OFF' }}`,
        },
      ],
      [
        `access_${id}`,
        {
          platform: 'event',
          name: `Access ${id}`,
          icon: 'mdi:door',
          event_types: [...DOOR_EVENTS],
          state_topic: topics.lockEvent,
          value_template: `{% if value_json.door == ${JSON.stringify(id)} %}${eventTemplate(
            'value_json.event',
            {
              id: 'value_json.id',
              person_id: 'value_json.person',
              reason: 'value_json.reason',
              path: 'value_json.path',
            },
          )}{% endif %}`,
        },
      ],
    ];
  });
  return Object.fromEntries(entries);
}

function lock(device: string, id: string): Component {
  const topics = topicsOf(device);
  return {
    platform: 'lock',
    name: `Lock ${id}`,
    state_topic: topics.lockState,
    // A leaf that stands open is not locked, whatever the bolt does.
    value_template: `{% set state = value_json.doors[${JSON.stringify(id)}].state %}{{ 'unlocked' if state == 'open too long' else state }}`,
    state_locked: 'locked',
    state_unlocked: 'unlocked',
    state_jammed: 'jammed',
    command_topic: topics.lockSet,
    payload_lock: 'lock',
    payload_unlock: 'unlock',
    command_template: command(`"action":"{{ value }}","door":${JSON.stringify(id)}`),
    qos: 1,
    retain: false,
    optimistic: false,
  };
}

function lockShown(device: string, id: string): Component {
  return {
    platform: 'sensor',
    name: `Lock ${id}`,
    icon: 'mdi:lock',
    device_class: 'enum',
    options: ['locked', 'unlocked', 'jammed', 'open too long'],
    state_topic: topicsOf(device).lockState,
    value_template: `{{ value_json.doors[${JSON.stringify(id)}].state }}`,
  };
}

function eventTemplate(type: string, fields: Readonly<Record<string, string>>): string {
  const members = Object.entries(fields).map(([name, value]) => `'${name}': ${value}`);
  return `{{ {'event_type': ${type}, ${members.join(', ')}} | to_json }}`;
}
