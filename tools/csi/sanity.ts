/** The CSI sanity suite of the Kubernetes project. */
import { ensureModuleProgram } from '../kubernetes/module.ts';

/** Its path, or why there is none. Builds it the first time, which takes a minute or two. */
export function ensureSanity(
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const module = 'github.com/kubernetes-csi/csi-test/v5';
  const wanted = { module, package: 'cmd/csi-sanity', program: 'csi-sanity' };
  const place = { directory: import.meta.dirname, folder: 'csi', what: 'the CSI sanity suite' };
  return ensureModuleProgram({ ...wanted, ...place }, env);
}
