// docs/reference/reasons.md from the reason catalogue.
import { exitCodeOf, type Reason, reasons } from '../../src/base/reasons.ts';
import { code, generatedFrom, table } from './markdown.ts';

export function reasonsReference(): string {
  const rows = (Object.keys(reasons) as Reason[]).map((reason) => {
    const { exit, retryable, remedy } = reasons[reason];
    const again = retryable ? 'yes' : 'no';
    return [code(reason), `${exitCodeOf(reason)} (${exit})`, again, remedy];
  });
  const lines = [
    generatedFrom('`src/base/reasons.ts`'),
    '',
    '# Reasons',
    '',
    'The same word is the reason of a condition and of an event, the label of a metric, and what a',
    'command prints when it fails. "Again" says whether the same request may succeed later without',
    'anybody changing anything.',
    '',
    ...table(['reason', 'exit code', 'again', 'what to do'], rows),
  ];
  return `${lines.join('\n')}\n`;
}
