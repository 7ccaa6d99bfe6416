import { setTimeout as pause } from 'node:timers/promises';
import { FacedError } from '../domain/errors.js';
import type { Command, CommandHandler, Vision } from './ports.js';
import type { EnrolledPicture, FacedService } from './service.js';

export interface CommandParts {
  readonly service: Pick<FacedService, 'enroll'>;
  readonly vision: Pick<Vision, 'snapshot'>;
  /** Where a picture that was asked for goes. */
  readonly onSnapshot: (camera: string, jpeg: Uint8Array) => void;
  /** Asks the door; what it refuses is told to the sender with its reason. */
  readonly onLock?: (command: LockCommand) => Promise<LockAnswer>;
}

export type LockCommand = Extract<Command, { kind: 'lock' }>;

export interface LockAnswer {
  readonly outcome: 'granted' | 'denied' | 'face-wanted';
  readonly reason: string | null;
}

/** An enrolment from a camera takes the first good picture of this many, moments apart. */
const SHOTS = 12;
const PAUSE_MS = 400;

/** Carries out what came over MQTT and passed the gate. */
export function commandHandler(parts: CommandParts): CommandHandler {
  return async (command) => {
    if (command.kind === 'snapshot') {
      parts.onSnapshot(command.camera, await picture(parts, command.camera));
      return {};
    }
    if (command.kind === 'lock') return lock(parts, command);
    const outcome = await enroll(parts, command);
    const { quality } = outcome;
    if (!outcome.accepted)
      throw new FacedError(outcome.code, outcome.reason, {
        fix: 'take another picture: one face, upright, near and well lit',
      });
    return { person: outcome.person, samples: [{ accepted: true, quality }] };
  };
}

async function enroll(
  parts: CommandParts,
  command: Extract<Command, { kind: 'enroll' }>,
): Promise<EnrolledPicture> {
  const { name, image, camera } = command;
  if (image !== null) return parts.service.enroll({ name, image, actor: 'mqtt' });
  if (camera === null)
    throw new FacedError('mqtt.invalid', 'the command names neither an image nor a camera');
  for (let shot = 1; ; shot++) {
    const outcome = await parts.service.enroll({ name, image: await picture(parts, camera), actor: 'mqtt' });
    if (outcome.accepted || shot === SHOTS) return outcome;
    await pause(PAUSE_MS);
  }
}

async function lock({ onLock }: CommandParts, command: LockCommand): Promise<object> {
  if (onLock === undefined) throw new FacedError('door.refused', 'this faced has no door');
  const { door, action } = command;
  const { outcome, reason } = await onLock(command);
  if (action === 'present' && outcome !== 'denied') return { door, action, outcome };
  if (outcome === 'granted') return { door, action };
  throw new FacedError('door.refused', `the door refused: ${reason ?? outcome}`, {
    fix: 'the audit says more: faced audit export',
  });
}

async function picture({ vision }: CommandParts, camera: string): Promise<Uint8Array> {
  const jpeg = await vision.snapshot(camera);
  if (jpeg !== null) return jpeg;
  throw new FacedError('source.open-failed', 'this camera gives no picture now', {
    fix: 'faced doctor says what is wrong with it',
  });
}
