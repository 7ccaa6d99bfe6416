import { leaves, variableFor } from './env.js';
import { isSection, mapValues, SCHEMA, type SchemaNode } from './schema.js';
import { expectation } from './sentences.js';
import { ANNOTATIONS } from './setting.js';

/** JSON Schema for editors (YAML language server): nothing is required that has a default, and our own words are gone. */
export function editorSchema(): string {
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...forEditors(SCHEMA) };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function forEditors(node: SchemaNode): Record<string, unknown> {
  const own = Object.entries(node).filter(([key]) => !(ANNOTATIONS as readonly string[]).includes(key));
  const plain: Record<string, unknown> = Object.fromEntries(own);
  if (node.properties !== undefined) plain.properties = each(node.properties);
  if (node.patternProperties !== undefined) plain.patternProperties = each(node.patternProperties);
  if (node.items !== undefined) plain.items = forEditors(node.items);
  // `mqtt:` with nothing behind it is allowed: it means the defaults.
  if (isSection(node) && node.default !== undefined) plain.type = ['object', 'null'];
  const required = (node.required ?? []).filter((key) => node.properties?.[key]?.default === undefined);
  delete plain.required;
  if (required.length > 0) plain.required = required;
  return plain;
}

function each(nodes: Readonly<Record<string, SchemaNode>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(nodes).map(([key, node]) => [key, forEditors(node)]));
}

/** docs/configuration.md. */
export function referencePage(): string {
  const single = Object.entries(SCHEMA.properties ?? {}).filter(
    ([, node]) => !isSection(node) && !mapValues(node),
  );
  const groups = Object.entries(SCHEMA.properties ?? {}).filter(
    ([, node]) => isSection(node) || mapValues(node),
  );
  return `${[INTRODUCTION, ...single.map(([key, node]) => setting([key], node)), ...groups.map(([key, node]) => group([key], node))].join('\n\n')}\n`;
}

const INTRODUCTION = `# Configuration

<!-- Generated from src/config by \`npm run docs\`; a test keeps it so. -->

faced reads one YAML file: the one given with \`--config\`, else \`FACED_CONFIG\`, else \`faced.yaml\` in the state directory, else \`/etc/faced/faced.yaml\`. Without a file the defaults hold. The state directory is \`FACED_STATE_DIR\`, else the one that systemd made for the service, else \`.faced\` in the checkout.

What is changed over the page or the HTTP interface is written into that file. Where faced may not write it, as \`/etc/faced\` of the Debian package, or where that has happened before, such changes are kept in \`settings.yaml\` in the state directory: they hold in place of what the file says, until they are taken out there. The log tells at each start which ones these are. What stands in the file only (pipelines, addresses, paths, doors, who may come in) is refused there.

Every setting can be overridden from the environment by the variable that is named with it. Lists are written there as JSON, and the empty text means null. All mistakes are reported at once, each with its path. Relative paths start at the folder of the file (in a variable: at the current folder).

A change of a setting marked *restart* needs \`systemctl restart faced\`; for the others \`systemctl reload faced\` (SIGHUP) is enough.

For completion and checks in an editor, begin the file with:

\`\`\`yaml
# yaml-language-server: $schema=PATH-TO-FACED/docs/faced.schema.json
\`\`\``;

function group(path: readonly string[], node: SchemaNode): string {
  const values = mapValues(node);
  const title = `## ${path.join('.')}\n\n${node.description ?? ''}`;
  if (values !== undefined) {
    const restart = node.restart === true ? ' Adding or removing one needs a restart.' : '';
    return [`${title}${restart}`, ...inside([...path, 'NAME'], values)].join('\n\n');
  }
  return [title, ...inside(path, node)].join('\n\n');
}

function inside(path: readonly string[], node: SchemaNode): string[] {
  return leaves(node, path).map((leaf) => setting(leaf.path, leaf.node));
}

function setting(path: readonly string[], node: SchemaNode): string {
  const facts = [
    `**Value:** ${valueForm(node)}`,
    node.default === undefined ? '**required**' : `**default:** \`${JSON.stringify(node.default)}\``,
    `\`${variableFor(path)}\``,
    ...(node.restart === true ? ['*restart*'] : []),
  ];
  return `### \`${path.join('.')}\`\n\n${node.description ?? ''}\n\n${facts.join(' · ')}`;
}

function valueForm(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((one) => `\`${one}\``).join(', ');
  if (node.path === true) return 'a path, or null';
  const sentence = expectation(node);
  return sentence.startsWith('text that is not empty')
    ? sentence.replace('text that is not empty', 'text')
    : sentence;
}
