import { section, text, wholeNumber, yesOrNo } from './setting.js';

export const http = section('The HTTP interface. Reserved: this version does not offer it yet.', {
  enabled: yesOrNo({ description: 'Whether it is offered.', default: true, restart: true }),
  host: text({}, { description: 'The address it listens on.', default: '127.0.0.1', restart: true }),
  port: wholeNumber(
    { minimum: 0, maximum: 65_535 },
    { description: 'Its port. 0: any.', default: 8723, restart: true },
  ),
});
