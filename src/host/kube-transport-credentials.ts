/** Who we are to an API server, kept fresh while the program runs. */
import { createHash } from 'node:crypto';
import { fail, TransshipError } from '../base/errors.ts';
import {
  type Credentials,
  type Material,
  type PluginConfig,
  readMaterialFile,
} from './kube-transport-config.ts';

/** Files are looked at again after this long: tokens of service accounts are replaced hourly. */
const rereadMs = 60_000;
/** What a plugin said is used for so long before it is asked again; it keeps its own cache. */
const pluginFreshMs = 10_000;
/** A credential plugin that says nothing for so long has failed. */
const pluginTimeMs = 60_000;

export interface Proof {
  readonly headers: Readonly<Record<string, string>>;
  readonly certificate?: string;
  readonly key?: string;
  /** Differs when the certificate does: connections are made anew then. */
  readonly identity: string;
}

export interface Prover {
  prove(): Promise<Proof>;
  /** After a 401. False when there is nothing newer to be had. */
  renew(): Promise<boolean>;
}

const nobody: Proof = { headers: {}, identity: '' };

export function createProver(credentials: Credentials): Prover {
  switch (credentials.kind) {
    case 'none':
      return { prove: async () => nobody, renew: async () => false };
    case 'token':
      return createTokenProver(credentials.token);
    case 'certificate':
      return createCertificateProver(credentials.certificate, credentials.key);
    case 'plugin':
      return createPluginProver(credentials.config);
  }
}

/** Content of a file, read again when it may be old. */
export class FreshText {
  readonly #what: string;
  readonly #material: Material;
  #text: string | undefined;
  #readAtMs = 0;

  constructor(what: string, material: Material) {
    this.#what = what;
    this.#material = material;
  }

  get text(): string {
    if ('text' in this.#material) return this.#material.text;
    const nowMs = performance.now();
    if (this.#text === undefined || nowMs - this.#readAtMs > rereadMs) {
      this.#text = readMaterialFile(this.#what, this.#material.file);
      this.#readAtMs = nowMs;
    }
    return this.#text;
  }

  /** True when what is there now is not what was used. */
  reread(): boolean {
    const before = this.#text;
    if ('text' in this.#material || before === undefined) return false;
    this.#text = undefined;
    return this.text !== before;
  }
}

function createTokenProver(material: Material): Prover {
  const token = new FreshText('token', material);
  return {
    prove: async () => ({ headers: bearer(token.text.trim()), identity: '' }),
    renew: async () => token.reread(),
  };
}

function bearer(token: string): { readonly authorization: string } {
  if (/^[\x21-\x7e]+$/.test(token)) return { authorization: `Bearer ${token}` };
  return fail('BadArgument', 'kubeconfig: the token is empty or has characters no token has');
}

function createCertificateProver(certificate: Material, key: Material): Prover {
  const certificateText = new FreshText('client-certificate', certificate);
  const keyText = new FreshText('client-key', key);
  return {
    prove: async () => withCertificate(certificateText.text, keyText.text, {}),
    renew: async () => certificateText.reread() || keyText.reread(),
  };
}

function withCertificate(certificate: string, key: string, headers: Proof['headers']): Proof {
  const identity = createHash('sha256').update(certificate).update('\0').update(key).digest('hex');
  return { headers, certificate, key, identity };
}

/** One configuration of the library per cluster: its caches know users by name only. */
class Plugin {
  readonly #config: PluginConfig;
  #library: { applyToHTTPSOptions(options: object): Promise<void> } | undefined;
  #asked: Promise<Proof> | undefined;
  #askedAtMs = 0;

  constructor(config: PluginConfig) {
    this.#config = config;
  }

  prove(): Promise<Proof> {
    const nowMs = performance.now();
    if (this.#asked === undefined || nowMs - this.#askedAtMs > pluginFreshMs) {
      const asked = this.#ask();
      this.#asked = asked;
      this.#askedAtMs = nowMs;
      asked.catch(() => {
        if (this.#asked === asked) this.#asked = undefined;
      });
    }
    return this.#asked;
  }

  forget(): void {
    this.#library = undefined;
    this.#asked = undefined;
  }

  async #ask(): Promise<Proof> {
    const late = AbortSignal.timeout(pluginTimeMs);
    const tooLate = new Promise<never>((_resolve, reject) => {
      late.addEventListener('abort', () => {
        reject(this.#failure(`it said nothing for ${pluginTimeMs / 1000} s`));
      });
    });
    return Promise.race([this.#askLibrary(), tooLate]);
  }

  async #askLibrary(): Promise<Proof> {
    try {
      this.#library ??= await this.#open();
      const options: PluginOptions = { headers: {} };
      await this.#library.applyToHTTPSOptions(options);
      const headers = options.headers?.Authorization;
      const proven = typeof headers === 'string' ? { authorization: headers } : {};
      if (options.cert === undefined || options.key === undefined) {
        return { headers: proven, identity: '' };
      }
      return withCertificate(String(options.cert), String(options.key), proven);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw this.#failure(message.trim().slice(0, 500), error);
    }
  }

  async #open(): Promise<{ applyToHTTPSOptions(options: object): Promise<void> }> {
    // Loaded only here: it is large, and most kubeconfigs do not need it.
    const { KubeConfig } = await import('@kubernetes/client-node');
    const library = new KubeConfig();
    library.loadFromString(JSON.stringify(this.#config.kubeconfig));
    return library;
  }

  #failure(why: string, cause?: unknown): TransshipError {
    const message = `credential plugin ${this.#config.name}: ${why}`;
    return new TransshipError('Unauthorized', message, { cause });
  }
}

interface PluginOptions {
  headers?: { Authorization?: unknown };
  cert?: unknown;
  key?: unknown;
}

function createPluginProver(config: PluginConfig): Prover {
  const plugin = new Plugin(config);
  return {
    prove: () => plugin.prove(),
    renew: async () => {
      plugin.forget();
      await plugin.prove();
      return true;
    },
  };
}
