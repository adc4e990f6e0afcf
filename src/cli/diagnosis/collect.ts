/**
 * Everything that helps to find out what is wrong with a cluster, without secrets (I-28): objects,
 * events, conditions, what the agent says, the ends of logs. What cannot be had is named.
 */
import { resources } from '../../api/kinds/resources.ts';
import type { EventObject } from '../../api/objects.ts';
import { asTransshipError } from '../../base/errors.ts';
import { formatMoment } from '../../base/units.ts';
import type { KubeClient } from '../../kube/api.ts';
import { apiVersionOf, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import {
  events,
  leases,
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  type Secret,
  secrets,
  storageClasses,
} from '../../kube/resources.ts';
import { pods } from '../../kube/workloads.ts';
import { allResources } from '../api/resources.ts';
import type { WithConditions } from '../api/waiting.ts';
import { isTrouble } from '../columns.ts';
import type { Cli } from '../context.ts';
import type { ArchiveFile } from '../ports.ts';
import { type Column, renderTable } from '../table.ts';
import { Redaction, removed } from './redaction.ts';

/** More of one kind says nothing new, and must fit into memory. */
const objectsMax = 5_000;
const logBytesMax = 2 * 1024 * 1024;

const coreKinds: readonly ResourceType[] = [
  namespaces,
  nodes,
  persistentVolumes,
  persistentVolumeClaims,
  storageClasses,
  leases,
  pods,
];

export interface Patient {
  readonly name: string;
  /** An agent and a control plane of this machine; else only its API is looked at. */
  readonly isHere: boolean;
}

interface Problem {
  readonly what: string;
  readonly message: string;
}

export class Diagnosis {
  readonly #cli: Cli;
  readonly #patient: Patient;
  readonly #redaction = new Redaction();
  readonly #files = new Map<string, string>();
  readonly #conditions: ConditionRow[] = [];
  readonly #problems: Problem[] = [];

  constructor(cli: Cli, patient: Patient) {
    this.#cli = cli;
    this.#patient = patient;
  }

  /** What is not in it, fit to be shown. */
  get problems(): readonly Problem[] {
    return this.#problems.map(({ what, message }) => {
      return { what, message: this.#redaction.text(message) };
    });
  }

  async collect(): Promise<readonly ArchiveFile[]> {
    await this.#try('the API server', () => this.#collectApi());
    if (this.#patient.isHere) {
      await this.#collectAgent();
      await this.#collectLogs();
    }
    this.#summarize();
    // All is redacted at the end, when every secret is known.
    return [...this.#files].map(([path, text]) => ({ path, text: this.#redaction.text(text) }));
  }

  async #try(what: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.#problems.push({ what, message: asTransshipError(error).message });
    }
  }

  #addJson(path: string, value: unknown): void {
    this.#files.set(path, `${JSON.stringify(this.#redaction.object(value), null, 2)}\n`);
  }

  async #collectApi(): Promise<void> {
    const { isHere, name } = this.#patient;
    const { client } = isHere ? await this.#cli.apiOf(name) : await this.#cli.api();
    // First, so that their content is known before anything else is written down.
    await this.#try('secrets', () => this.#collectSecrets(client));
    await this.#try('the version', async () => {
      this.#addJson('version.json', await client.request('GET', '/version'));
    });
    for (const type of [...(await this.#ownKinds(client)), ...coreKinds, events]) {
      await this.#try(type.plural, () => this.#collectKind(client, type));
    }
  }

  /** All kinds of our group that are served: those of later versions too. */
  async #ownKinds(client: KubeClient): Promise<readonly ResourceType[]> {
    try {
      const all = await allResources(client);
      return all.map(({ type }) => type).filter(({ group }) => group === 'transship.dev');
    } catch (error) {
      this.#problems.push({ what: 'discovery', message: asTransshipError(error).message });
      return Object.values(resources);
    }
  }

  /** That they are there, and which entries they have. */
  async #collectSecrets(client: KubeClient): Promise<void> {
    const shown: object[] = [];
    for await (const secret of client.list(secrets)) {
      const { data = {} } = secret;
      for (const value of Object.values(data)) {
        this.#redaction.hide(Buffer.from(value, 'base64').toString('utf8'));
      }
      if (shown.length < objectsMax) shown.push(withoutValues(secret));
    }
    this.#addJson('objects/secrets.json', listed(secrets, shown));
  }

  async #collectKind(client: KubeClient, type: ResourceType): Promise<void> {
    const items: KubeObject[] = [];
    let all = 0;
    for await (const item of client.list(type)) {
      all += 1;
      if (items.length >= objectsMax) continue;
      items.push(item);
      this.#noteConditions(item);
    }
    if (all > items.length) {
      const message = `only the first ${items.length} of ${all} are in the bundle`;
      this.#problems.push({ what: type.plural, message });
    }
    const group = type.group === '' || type.group === 'transship.dev' ? '' : `.${type.group}`;
    this.#addJson(`objects/${type.plural}${group}.json`, listed(type, items));
  }

  #noteConditions(object: KubeObject): void {
    const { kind, metadata } = object;
    if (!object.apiVersion.startsWith('transship.dev/')) return;
    const name = [metadata.namespace, metadata.name].filter((one) => one !== undefined).join('/');
    const deleting = metadata.deletionTimestamp === undefined ? '' : ' (being deleted)';
    for (const condition of (object as WithConditions).status?.conditions ?? []) {
      const { type, status, reason, message } = condition;
      const row = { kind, name: `${name}${deleting}`, type, status, reason, message };
      this.#conditions.push({ ...row, isBad: isTrouble(condition) });
    }
  }

  async #collectAgent(): Promise<void> {
    const client = this.#cli.clientOf(this.#patient.name);
    const calls = {
      status: 'agent.status',
      doctor: 'agent.doctor',
      clusters: 'cluster.list',
      pools: 'pool.list',
      volumes: 'volume.list',
      teleports: 'teleport.list',
      policies: 'policy.list',
      jobs: 'job.list',
    } as const;
    for (const [file, operation] of Object.entries(calls)) {
      await this.#try(`the agent's ${file}`, async () => {
        this.#addJson(`agent/${file}.json`, await client.call(operation, {}));
      });
    }
    await this.#try("the agent's metrics", async () => {
      this.#files.set('agent/metrics.txt', (await client.call('agent.metrics', {})).text);
    });
    await this.#try("the agent's events", async () => {
      const found: EventObject[] = [];
      await client.stream('agent.events', {}, { onEvent: (event) => void found.push(event) });
      this.#addJson('agent/events.json', found);
    });
  }

  async #collectLogs(): Promise<void> {
    const { agents, planes, readEnd } = this.#cli.ports;
    const { name } = this.#patient;
    const logs = { agent: agents.logPath(name), 'control-plane': planes.logPath(name) };
    for (const [file, path] of Object.entries(logs)) {
      await this.#try(`the log of the ${file}`, async () => {
        this.#files.set(`logs/${file}.log`, await readEnd(path, logBytesMax));
      });
    }
  }

  #summarize(): void {
    const bad = this.#conditions.filter(({ isBad }) => isBad);
    const shape = { wide: false };
    const found =
      bad.length === 0 ? 'Every condition is well.\n' : renderTable(conditionColumns, bad, shape);
    const all = renderTable(conditionColumns, this.#conditions, shape);
    this.#files.set('conditions.txt', `What is wrong:\n${found}\nAll conditions:\n${all}`);
    const missing = this.#problems.map(({ what, message }) => `  ${what}: ${message}\n`).join('');
    this.#files.set(
      'README.txt',
      `Diagnostics of cluster ${this.#patient.name}, ${formatMoment(this.#cli.nowMs())},\n` +
        `by transship ${this.#cli.ports.version}.\n\n` +
        `Start with conditions.txt. Values of Secrets, environments, command lines and unknown\n` +
        `annotations are not in it, nor what looks like a key; they read ${removed}.\n\n` +
        `What could not be had:\n${missing === '' ? '  (nothing)\n' : missing}`,
    );
  }
}

function withoutValues({ metadata, type, data = {}, ...rest }: Secret): object {
  const { apiVersion, kind } = rest;
  const entries = Object.keys(data).map((name) => [name, removed]);
  const { name, namespace, uid, creationTimestamp, labels } = metadata;
  const shown = { name, namespace, uid, creationTimestamp, labels };
  return { apiVersion, kind, metadata: shown, type, data: Object.fromEntries(entries) };
}

function listed(type: ResourceType, items: readonly object[]): object {
  return { apiVersion: apiVersionOf(type), kind: `${type.kind}List`, items };
}

interface ConditionRow {
  readonly kind: string;
  readonly name: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly isBad: boolean;
}

const conditionColumns: readonly Column<ConditionRow>[] = [
  { header: 'KIND', value: ({ kind }) => kind },
  { header: 'NAME', value: ({ name }) => name },
  { header: 'CONDITION', value: ({ type }) => type },
  { header: 'STATUS', value: ({ status }) => status },
  { header: 'REASON', value: ({ reason }) => reason },
  { header: 'MESSAGE', value: ({ message }) => message },
];
