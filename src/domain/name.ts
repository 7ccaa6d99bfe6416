import { FacedError } from './errors.js';

const LONGEST = 200;

/**
 * The form in which a person's name is kept and compared: Unicode NFC, without white space at the ends, 1 to 200
 * characters (code points). Anything else may stand in it: a name is data, never a path, topic or markup.
 */
export function normaliseName(name: string): string {
  const normal = name.normalize('NFC').trim();
  const length = [...normal].length;
  if (length === 0) throw invalid('The name is empty.');
  if (length > LONGEST) throw invalid(`The name has ${length} characters.`);
  // Control characters, line and paragraph separators, halves of a surrogate pair, and what turns the text around it
  // about (Unicode TR 36, section 2.7): in a list or a log such a name would be read as another.
  if (/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u.test(normal))
    throw invalid('The name has control characters.');
  return normal;
}

function invalid(message: string): FacedError {
  return new FacedError('gallery.invalid-name', message, {
    fix: `Use 1 to ${LONGEST} characters, without line breaks or other control characters.`,
  });
}
