/** Kubeconfig texts, complete in themselves: certificates and keys are in them. */
import { stringify } from 'yaml';

export interface KubeconfigContext {
  /** Of the context, the cluster and, with a suffix, the user. */
  readonly name: string;
  /** `https://127.0.0.1:6443`. */
  readonly server: string;
  /** PEM of the authority that signed the server's certificate. */
  readonly authority: string;
  readonly namespace?: string;
  readonly user: KubeconfigUser;
}

export type KubeconfigUser =
  /** PEM texts. */
  { readonly certificate: string; readonly key: string } | { readonly token: string };

/** The file belongs in mode 0600: it holds keys. `current` names one of the contexts. */
export function kubeconfigText(contexts: readonly KubeconfigContext[], current: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': current,
    clusters: contexts.map(({ name, server, authority }) => ({
      name,
      cluster: { server, 'certificate-authority-data': base64(authority) },
    })),
    users: contexts.map(({ name, user }) => ({ name: userName(name), user: userFields(user) })),
    contexts: contexts.map(({ name, namespace }) => ({
      name,
      context: {
        cluster: name,
        user: userName(name),
        ...(namespace === undefined ? {} : { namespace }),
      },
    })),
  });
}

function userName(context: string): string {
  return `${context}-user`;
}

function userFields(user: KubeconfigUser): object {
  if ('token' in user) return { token: user.token };
  return {
    'client-certificate-data': base64(user.certificate),
    'client-key-data': base64(user.key),
  };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
