import { FacedError } from '../domain/errors.js';
import type { EnrolProgress } from './camera-enrolment.js';
import type { Command, CommandHandler, Vision } from './ports.js';
import type { EnrolledPicture, FacedService } from './service.js';

export interface CommandParts {
  readonly service: Pick<FacedService, 'enroll' | 'enrollFromCamera'>;
  /** What somebody in front of a camera is told; `id` is the command's. */
  readonly onEnrollProgress: (id: string, progress: EnrolProgress) => void;
  /** Aborted when the daemon stops. */
  readonly signal: AbortSignal;
  readonly vision: Pick<Vision, 'snapshot'>;
  /** Where a picture that was asked for goes. */
  readonly onSnapshot: (camera: string, jpeg: Uint8Array) => void;
  /** Lets recognition rest, or go on. */
  readonly onPause?: (paused: boolean) => Promise<void>;
  /** Whether pictures may leave the machine. */
  readonly snapshots?: boolean;
  /** Asks the door; what it refuses is told to the sender with its reason. */
  readonly onLock?: (command: LockCommand) => Promise<LockAnswer>;
}

export type LockCommand = Extract<Command, { kind: 'lock' }>;

export interface LockAnswer {
  readonly outcome: 'granted' | 'denied' | 'face-wanted';
  readonly reason: string | null;
}

/** Carries out what came over MQTT and passed the gate. */
export function commandHandler(parts: CommandParts): CommandHandler {
  return async (command) => {
    if (command.kind === 'pause') {
      await parts.onPause?.(command.paused);
      return {};
    }
    if (command.kind === 'snapshot') {
      if (parts.snapshots !== true)
        throw new FacedError('mqtt.refused', 'pictures do not leave this machine', {
          fix: 'set mqtt.snapshots',
        });
      parts.onSnapshot(command.camera, await picture(parts, command.camera));
      return {};
    }
    if (command.kind === 'lock') return lock(parts, command);
    return enroll(parts, command);
  };
}

async function enroll(parts: CommandParts, command: Extract<Command, { kind: 'enroll' }>): Promise<object> {
  const outcomes = await learn(parts, command);
  const first = outcomes.find((outcome) => outcome.accepted) ?? outcomes[0];
  if (first === undefined) throw new FacedError('internal', 'an enrolment was not answered');
  if (!first.accepted)
    throw new FacedError(first.code, first.reason, {
      fix: 'take another picture: one face, upright, near and well lit',
    });
  const samples = outcomes.map((outcome) => {
    const { accepted, quality } = outcome;
    return accepted ? { accepted, quality } : { accepted, reason: outcome.reason, quality };
  });
  return { person: first.person, samples };
}

async function learn(
  { service, onEnrollProgress, signal }: CommandParts,
  { id, name, image, camera }: Extract<Command, { kind: 'enroll' }>,
): Promise<EnrolledPicture[]> {
  if (image !== null) return [await service.enroll({ name, image, actor: 'mqtt' })];
  if (camera === null)
    throw new FacedError('mqtt.invalid', 'the command names neither an image nor a camera');
  return service.enrollFromCamera(
    { name, camera, actor: 'mqtt' },
    { signal, progress: (step) => onEnrollProgress(id, step as EnrolProgress) },
  );
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
