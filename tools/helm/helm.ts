/** Helm itself, to render and check the chart. */
import { ensureModuleProgram } from '../kubernetes/module.ts';

/** Its path, or why there is none. Builds it the first time, which takes some minutes. */
export function ensureHelm(
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const wanted = { module: 'helm.sh/helm/v3', package: 'cmd/helm', program: 'helm' };
  const place = { directory: import.meta.dirname, folder: 'helm', what: 'Helm' };
  return ensureModuleProgram({ ...wanted, ...place }, env);
}
