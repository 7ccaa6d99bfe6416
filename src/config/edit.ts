import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Document, isMap, parseDocument } from 'yaml';
import { FacedError } from '../domain/errors.js';
import { writeFileAtomic } from '../lib/atomic-file.js';
import { type LoadedConfig, loadConfig } from './load.js';
import { bringsDefault, hasPlace, type Leaf, leavesOf } from './patch.js';
import type { Config } from './schema.js';

/** The configuration as it may be shown: without what signs somebody in at a camera or broker. */
export function shownConfig(config: Config): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(config, (_key, value: unknown) =>
      typeof value === 'string' ? value.replace(/\/\/[^/@\s]*@/g, '//…@') : value,
    ),
  ) as Record<string, unknown>;
}

export interface ConfigEdit {
  /** The file; made when there is none. */
  readonly file: string;
  /** Where changes are kept when the file is not ours to write. */
  readonly settingsFile: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A JSON merge patch (RFC 7396): null takes a setting out of the file, so that its default holds. */
  readonly patch: Readonly<Record<string, unknown>>;
}

/** Its source is the file that was changed. */
export interface EditedConfig extends LoadedConfig {
  /** Brings back what that file held before. */
  readonly undo: () => Promise<void>;
}

/** As the file of changes begins; the words are for whoever finds it. */
const HEADING = ` Changed over the page or the HTTP interface, because faced may not write its configuration file.
 What stands here holds in place of what that file says; null brings the default back. Take a line out, and
 reload faced, to let the file decide again.`;

/**
 * Changes settings in the configuration file, keeping its comments; nothing is written unless the whole is right. Where
 * that file may not be written, as that of a service that owns no more than its state, or where it has happened before,
 * changes go into a file of their own, which holds in its place.
 * Answers the configuration that holds then. Throws `config.invalid` with every mistake, and `http.forbidden` for what
 * can be changed in the file only.
 */
export async function editConfig(edit: ConfigEdit): Promise<EditedConfig> {
  const leaves = leavesOf(edit.patch);
  if ((await textOf(edit.settingsFile)) !== null) return keepApart(edit, leaves);
  try {
    return await editFile(edit, leaves);
  } catch (error) {
    if (!(error instanceof FacedError) || error.code !== 'config.unwritable') throw error;
    return keepApart(edit, leaves);
  }
}

async function editFile({ file, env }: ConfigEdit, leaves: readonly Leaf[]): Promise<EditedConfig> {
  const before = await textOf(file);
  const document = parsed(before ?? '', 'the configuration file');
  for (const leaf of leaves) {
    if (bringsDefault(leaf)) document.deleteIn(leaf.path);
    else setIn(document, leaf);
  }
  return write({ place: file, before, document }, (path) => loadConfig({ path, env }));
}

async function keepApart({ file, settingsFile, env }: ConfigEdit, leaves: readonly Leaf[]) {
  const before = await textOf(settingsFile);
  const document = parsed(before ?? '', 'the file of changed settings');
  if (before === null) document.commentBefore = HEADING;
  for (const leaf of leaves) setIn(document, leaf);
  const path = (await textOf(file)) === null ? undefined : file;
  return write({ place: settingsFile, before, document }, (trial) => {
    const loaded = loadConfig({ path, settingsFile: trial, env });
    // What is passed over at a start is a mistake of whoever asks for it now.
    const lost = leaves.filter((leaf) => !hasPlace(loaded.config, leaf.path));
    if (lost.length === 0) return loaded;
    const lines = lost.map((leaf) => `${leaf.path.join('.')} is no setting`);
    throw new FacedError('config.invalid', ['the change has mistakes:', ...lines].join('\n'));
  });
}

interface Written {
  readonly place: string;
  /** What it held; null when it was not there. */
  readonly before: string | null;
  readonly document: Document;
}

/** Tries it under another name beside the file, so that relative paths mean the same. */
async function write(
  { place, before, document }: Written,
  load: (trial: string) => LoadedConfig,
): Promise<EditedConfig> {
  const text = document.toString({ lineWidth: 0 });
  const trial = join(place, '..', `.faced-${randomBytes(6).toString('hex')}.yaml`);
  try {
    await put(trial, text);
    const loaded = load(trial);
    await put(place, text);
    const undo = () => (before === null ? rm(place) : put(place, before));
    return { ...loaded, source: place, undo };
  } catch (thrown) {
    const error = FacedError.from(thrown);
    if (error.code !== 'config.invalid') throw error;
    const [first = '', ...mistakes] = error.message.split('\n').map((line) => line.trim());
    const message = mistakes.length === 0 ? first.replace(trial, basename(place)) : mistakes.join('; ');
    throw new FacedError('config.invalid', message, { cause: thrown });
  } finally {
    await rm(trial, { force: true });
  }
}

async function put(path: string, text: string): Promise<void> {
  try {
    await writeFileAtomic(path, text, 0o600);
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (!NOT_OURS.has(reason)) throw cause;
    throw new FacedError('config.unwritable', `${path} cannot be written (${reason}).`, {
      cause,
      fix: 'Give the state directory to the user that faced runs as, on a disk that can be written.',
    });
  }
}
/** The last one: the file alone is mounted into a container, and no other can take its place. */
const NOT_OURS = new Set(['EROFS', 'EACCES', 'EPERM', 'EBUSY']);

/** Null: there is no such file. */
async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    throw new FacedError('config.unreadable', `${path} cannot be read`, { cause });
  }
}

/** A map of settings, also where the text is empty or comments alone. */
function parsed(text: string, name: string): Document {
  const document: Document = parseDocument(text);
  if (document.errors.length > 0)
    throw new FacedError('config.unreadable', `${name} is not YAML; mend it first`);
  if (!isMap(document.contents)) {
    if (document.toJS() !== null)
      throw new FacedError('config.unreadable', `${name} is not a map of settings; mend it first`);
    document.contents = document.createNode({});
  }
  return document;
}

function setIn(document: Document, { path, value }: Leaf): void {
  // `mqtt:` with nothing behind it is null: a map takes its place.
  for (let length = 1; length < path.length; length++) {
    const part = path.slice(0, length);
    if (!isMap(document.getIn(part, true))) document.setIn(part, document.createNode({}));
  }
  document.setIn(path, document.createNode(value));
}
