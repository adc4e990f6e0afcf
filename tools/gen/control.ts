// docs/reference/control.md from the table of operations.
import { operations } from '../../src/api/control.ts';
import { pathPrefix, requestTextMax } from '../../src/api/wire.ts';
import { code, generatedFrom, table } from './markdown.ts';

export function controlReference(): string {
  const rows = Object.entries(operations).map(([name, { fields, stream, about }]) => [
    code(name),
    Object.entries(fields)
      .map(([field, type]) => `${code(field)} ${type}`)
      .join(', ') || '–',
    stream ? 'stream' : 'object',
    about,
  ]);
  const lines = [
    generatedFrom('`src/api/control.ts`'),
    '',
    '# Control API',
    '',
    'JSON over HTTP on the unix socket `control.sock` (mode 0600) of an agent. An operation is',
    `\`POST ${pathPrefix}OPERATION\` with a JSON object of at most ${requestTextMax} bytes. The`,
    'answer is an object with `kind` and `apiVersion`, or, with a status other than 200,',
    '`{"kind": "Error", "reason", "message", "remedy"}`. A stream is lines of JSON: any number of',
    '`{"type": "event", "event"}`, then `{"type": "result", "result"}` or',
    '`{"type": "error", "error"}`. Work goes on when the client leaves a stream. `?` marks',
    'optional fields. `GET /metrics` gives Prometheus text.',
    '',
    '```',
    "curl --unix-socket ~/.transship/clusters/local/control.sock -d '{}' \\",
    `  http://agent${pathPrefix}volume.list`,
    '```',
    '',
    ...table(['operation', 'fields', 'answer', 'about'], rows),
  ];
  return `${lines.join('\n')}\n`;
}
