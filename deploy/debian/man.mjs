/** `faced help --json | node man.mjs VERSION DATE` writes faced(1): every command as faced itself explains it. */
import { readFileSync } from 'node:fs';

const [version, date] = process.argv.slice(2);
const { commands } = JSON.parse(readFileSync(0, 'utf8'));
/** Hyphens stay what is typed, and no line is taken for a request. */
const plain = (text) =>
  text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/…/g, '...')
    .replace(/^(?=[.'])/gm, '\\&');
/** Each form of a command is a line of its own. */
const forms = ({ name, synopsis }) =>
  synopsis.split(/\n| \| (?![^[(]*[\])])/).map((form) => `.br\n\\fBfaced ${plain(name)}\\fR ${plain(form)}`);
const entry = (command) =>
  [`.TP\n.B ${plain(command.name)}`, plain(command.summary), ...forms(command)].join('\n');

process.stdout.write(`.TH FACED 1 ${date} "faced ${plain(version)}" "User Commands"
.SH NAME
faced \\- face recognition for the door
.SH SYNOPSIS
.B faced
.I COMMAND
[\\-\\-config FILE] [\\-\\-json] [\\-\\-verbose]
.SH DESCRIPTION
A daemon that watches a camera and tells the house over MQTT who is standing there; everything happens on the machine
itself. With \\-\\-json a command answers with one JSON document. Called by root, commands act on the gallery of
the service and run as its user; whoever sets FACED_STATE_DIR gets a faced of their own.
.SH COMMANDS
${commands.map(entry).join('\n')}
.SH EXIT STATUS
0: done; 1: failed, and standard error says why and what mends it; 2: called wrongly.
.SH FILES
.TP
.I /etc/faced/faced.yaml
The configuration; /opt/faced/docs/configuration.md explains every setting and its variable.
.TP
.I /var/lib/faced
The gallery, its key, the events and the settings that were changed over the page.
.TP
.I /var/cache/faced/models
The models.
.SH SEE ALSO
.BR systemctl (1),
faced.service, /opt/faced/README.md
`);
