/** Whether a text can be an Ansible playbook: a YAML list of plays. Pure. */
import { parse } from 'yaml';

/** Why it is none, in one sentence; undefined when it is. */
export function playbookProblem(text: string): string | undefined {
  let found: unknown;
  try {
    found = parse(text);
  } catch (error) {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    return `the playbook is no YAML: ${line.replace(/:$/, '')}`;
  }
  if (!Array.isArray(found) || found.length === 0) return 'the playbook is no list of plays';
  const isPlay = (one: unknown): boolean =>
    typeof one === 'object' && one !== null && !Array.isArray(one);
  const at = found.findIndex((one) => !isPlay(one));
  return at < 0 ? undefined : `entry ${at + 1} of the playbook is no play`;
}
