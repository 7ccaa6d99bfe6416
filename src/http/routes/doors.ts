import { type Static, Type } from '@sinclair/typebox';
import { FacedError } from '../../domain/errors.js';
import type { Context } from '../context.js';
import type { DoorOutcome } from '../parts.js';
import { type Route, route } from '../route.js';
import { object, oneOf, orNull } from '../schemas.js';

const DoorPath = object({ door: Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,31}$' }) });
const Answer = object({
  door: Type.String(),
  outcome: oneOf(
    ['granted', 'face-wanted'],
    '`granted`: the lock was told, and how it stands is said by `GET /v1/doors`; `face-wanted`: the code is right, and the face is waited for.',
  ),
});

/**
 * The doors. A picture that is sent to `/v1/recognize` never gets here: what opens by face is what a trusted camera sees.
 */
export function doorRoutes({ doors }: Context): Route[] {
  const ask = async (door: string, order: () => Promise<DoorOutcome>): Promise<Static<typeof Answer>> => {
    if (!doors.status().some((one) => one.door === door))
      throw new FacedError('http.not-found', 'there is no such door');
    const { outcome, reason } = await order();
    if (outcome !== 'denied') return { door, outcome };
    if (reason === 'busy') throw new FacedError('busy', 'the door was opened just now, or is being asked');
    // One sentence for every reason: a wrong code and a right one outside its hours must not be told apart.
    throw new FacedError('door.refused', 'the door refused', {
      fix: 'the audit says why: faced audit export',
    });
  };
  return [
    route({
      method: 'GET',
      path: '/v1/doors',
      tag: 'doors',
      summary: 'How the doors are',
      who: 'read',
      answer: object({
        doors: Type.Array(
          object({ door: Type.String(), state: Type.String(), open: orNull(Type.Boolean()) }),
        ),
      }),
      handle: () => ({ doors: doors.status() }),
    }),
    route({
      method: 'POST',
      path: '/v1/doors/{door}/present',
      tag: 'doors',
      summary: 'Show a code, badge or QR text to a door',
      description:
        'Only a door with `http` among its `codes` listens. Where a door wants face and code, this is the code: the face has to be before one of its cameras. Wrong codes close the codes of this door for a while.',
      who: 'door',
      params: DoorPath,
      body: object({
        method: oneOf(['code', 'badge', 'qr']),
        secret: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\n]*$' }),
      }),
      answer: Answer,
      handle: ({ params: { door }, body: { method, secret } }) =>
        ask(door, () => doors.present({ door, method, secret })),
    }),
    ...(['unlock', 'lock'] as const).map((action) =>
      route({
        method: 'POST',
        path: `/v1/doors/{door}/${action}`,
        tag: 'doors',
        summary: action === 'unlock' ? 'Open a door from afar' : 'Lock a door',
        description:
          action === 'unlock'
            ? 'Only a door with `remoteUnlock` opens. Who asked is in the audit, before the lock is told.'
            : 'Ends the time for which the door is open.',
        who: 'door',
        params: DoorPath,
        answer: Answer,
        handle: ({ params: { door }, actor }) => ask(door, () => doors.command({ door, action, actor })),
      }),
    ),
  ];
}
