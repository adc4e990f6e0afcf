/** A Plan that a person has in a file. */
import type { Plan } from '../../api/kinds/plan.ts';
import { fail } from '../../base/errors.ts';
import type { Cli } from '../context.ts';

/** The bound that API servers have for one object. */
const planBytesMax = 1.5 * 1024 * 1024;

/** `BadArgument` names the file, and what is wrong with it; the server judges the fields. */
export async function readPlan(cli: Cli, path: string): Promise<Pick<Plan, 'metadata' | 'spec'>> {
  const text = await cli.ports.readInput(path, planBytesMax);
  const yaml = await import('yaml');
  const document = yaml.parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) fail('BadArgument', `${path}: ${problem.message}`);
  const value = document.toJS() as Partial<Plan> | null;
  if (value?.kind !== 'Plan' || typeof value.apiVersion !== 'string') {
    return fail('BadArgument', `${path} is no Plan of transship.dev`);
  }
  if (!value.apiVersion.startsWith('transship.dev/') || typeof value.spec !== 'object') {
    return fail('BadArgument', `${path} is no Plan of transship.dev with a spec`);
  }
  return { metadata: value.metadata ?? {}, spec: value.spec };
}
