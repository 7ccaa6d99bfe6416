import { decimal, decimalOrNull, oneOf, section, yesOrNo } from './setting.js';

export const LIVENESS_MODES = ['off', 'passive', 'active', 'both'] as const;

export const liveness = section('Whether a face is alive or a picture.', {
  mode: oneOf(LIVENESS_MODES, {
    description:
      'What a face has to show before `faced liveness` calls it alive: `passive` a good score of the passive model, `active` a turn of the head within the time (a smaller one with a blink), `both`, or nothing (`off`). Each camera has a setting of its own for its decisions.',
    default: 'active',
    restart: true,
  }),
  within: decimal(
    { minimum: 1, maximum: 30 },
    {
      description:
        'The time that a face has for the active test, in seconds. Not shown until then is not alive.',
      default: 3,
      restart: true,
    },
  ),
  challenge: yesOrNo({
    description:
      'Whether the active test asks for a turn to a side that chance chooses, which is told while the person is in view. It stops a film that was made before; the person has to see what is asked.',
    default: false,
    restart: true,
  }),
  passive: oneOf(['report', 'off'], {
    description:
      'report: the score of the passive model stands in each event. off: it is not asked. One frame alone is a hint, not a lock.',
    default: 'report',
    restart: true,
  }),
  minimum: decimalOrNull(
    { minimum: 0, maximum: 1 },
    {
      description:
        'The passive score below which the decision becomes `spoof`. null: a score alone changes no decision, and where the passive test is asked for 0.5 is enough.',
      default: null,
      restart: false,
    },
  ),
});
