/** Kubeconfigs, complete in themselves: certificates and keys are in them. */

export interface KubeconfigContext {
  /** Of the context, the cluster and, with a suffix, the user. */
  readonly name: string;
  /** `https://127.0.0.1:6443`. */
  readonly server: string;
  /** PEM of the authority that signed the server's certificate; absent: one that systems trust. */
  readonly authority?: string | undefined;
  readonly namespace?: string;
  readonly user: KubeconfigUser;
}

export type KubeconfigUser =
  /** PEM texts. */
  { readonly certificate: string; readonly key: string } | { readonly token: string };

/** JSON is YAML: write it as either, into a file of mode 0600. `current` names a context. */
export function kubeconfigOf(contexts: readonly KubeconfigContext[], current: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': current,
    clusters: contexts.map(({ name, server, authority }) => ({
      name,
      cluster: {
        server,
        ...(authority === undefined ? {} : { 'certificate-authority-data': base64(authority) }),
      },
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
  };
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
