import { section, wholeNumber } from './setting.js';

export const audit = section('The record of what was done and decided.', {
  keepDays: wholeNumber(
    { minimum: 1, maximum: 36_500 },
    {
      description:
        'For how many days rows are kept. What is older is cut off the chain, once a day at most, and a signed marker stands where the cut was.',
      default: 365,
      restart: false,
    },
  ),
});
