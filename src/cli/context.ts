/** What every command works with: the chosen cluster, the output format, questions, waiting. */
import type { ApiObject, ListOf } from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import { exitCodes } from '../base/reasons.ts';
import { createClusterClient } from './api/cluster-client.ts';
import { Exit } from './failure.ts';
import { nameOf, type OutputFormat, render } from './output.ts';
import type { ControlClient } from '../api/control-client.ts';
import type { KubeObject } from '../kube/objects.ts';
import type { CliPorts, OpenApi } from './ports.ts';
import { ProgressPainter } from './progress.ts';

export interface GlobalOptions {
  readonly output?: OutputFormat;
  readonly cluster?: string;
  readonly yes?: boolean;
  readonly color?: boolean;
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

interface KubeList {
  readonly items: readonly KubeObject[];
}

/** As kubectl prints objects: who manages which field is noise to readers. */
function withoutManagers(object: KubeObject | KubeList): object {
  if ('items' in object) return { ...object, items: object.items.map(withoutManagers) };
  const { managedFields: _managed, ...metadata } = object.metadata;
  return { ...object, metadata };
}

export class Cli {
  readonly ports: CliPorts;
  readonly options: GlobalOptions;

  constructor(ports: CliPorts, options: GlobalOptions) {
    this.ports = ports;
    this.options = options;
  }

  nowMs(): number {
    return this.ports.clock.wallMs();
  }

  /** The namespace that `-n` names. */
  get namespace(): string {
    return this.options.namespace ?? 'default';
  }

  /** The API server that `--context` or `--kubeconfig` name, else that of the chosen cluster. */
  async api(): Promise<OpenApi> {
    const { context, kubeconfig } = this.options;
    if (!this.namesContext) return this.apiOf(await this.clusterName());
    return this.ports.planes.open({ context, kubeconfig });
  }

  /** The API server is one of a kubeconfig: it may be of any cluster, with no agent near. */
  get namesContext(): boolean {
    return this.options.context !== undefined || this.options.kubeconfig !== undefined;
  }

  /** That of a cluster of this machine. */
  async apiOf(cluster: string): Promise<OpenApi> {
    this.clientOf(cluster);
    return this.ports.planes.open({ cluster });
  }

  /** The agent of the cluster that was chosen. */
  async client(): Promise<ControlClient> {
    return this.clientOf(await this.clusterName());
  }

  /** The cluster that `--cluster` or TRANSSHIP_CLUSTER names, or the only one that runs. */
  async clusterName(): Promise<string> {
    const named = this.options.cluster ?? this.ports.environment['TRANSSHIP_CLUSTER'];
    if (named !== undefined && named !== '') return named;
    const { agents, planes } = this.ports;
    const alive = await agents.running();
    // A cluster whose agent died still answers, and says so.
    const running = agents.known().filter((name) => alive.includes(name) || planes.isRunning(name));
    if (running.length === 1) return running[0]!;
    if (running.length === 0) fail('AgentUnreachable', 'no cluster runs on this machine');
    fail(
      'BadArgument',
      `${running.length} clusters run: choose with --cluster ${running.join('|')}`,
    );
  }

  /** `AgentUnreachable` with the known names when it never ran here. */
  clientOf(name: string): ControlClient {
    const { agents } = this.ports;
    const known = agents.known();
    if (known.includes(name)) {
      const all = agents.agentsOf(name).map((agent) => agents.connect(agent));
      return all.length === 1 ? all[0]! : createClusterClient(name, all);
    }
    const names = known.length === 0 ? 'none was ever started' : `known: ${known.join(', ')}`;
    fail('AgentUnreachable', `cluster '${printable(name)}' is not on this machine (${names})`);
  }

  /** Data for stdout. */
  out(text: string): void {
    this.ports.terminal.out(text);
  }

  /** Anything that is not data. */
  note(text: string): void {
    this.ports.terminal.err(`${text}\n`);
  }

  /** An object as an API server sent it, in the format for programs that was asked for. */
  async printAny(object: object): Promise<void> {
    const shown = withoutManagers(object as KubeObject | KubeList) as ApiObject;
    this.out(await render(shown, this.options.output ?? 'yaml', this.nowMs()));
  }

  async print(object: ApiObject | ListOf<ApiObject>): Promise<void> {
    this.out(await render(object, this.options.output ?? 'table', this.nowMs()));
  }

  /** A list; people get a sentence instead of an empty table. */
  async printList(list: ListOf<ApiObject>, whenEmpty: string): Promise<void> {
    const format = this.options.output ?? 'table';
    if (list.items.length === 0 && (format === 'table' || format === 'wide')) this.note(whenEmpty);
    else await this.print(list);
  }

  /** "volume/db created", or the object when a format was asked for. */
  async printDone(object: ApiObject, verb: string): Promise<void> {
    const format = this.options.output;
    if (format === undefined) this.out(`${nameOf(object)} ${verb}\n`);
    else await this.print(object);
  }

  /**
   * Shows what will happen; asks on a terminal, needs `--yes` elsewhere. With a `word`, that has to
   * be typed.
   */
  async confirm(what: readonly string[], word?: string): Promise<void> {
    const { terminal } = this.ports;
    if (this.options.yes === true) return;
    for (const line of what) this.note(line);
    if (!terminal.inIsTerminal || !terminal.errIsTerminal) {
      fail('BadArgument', 'this needs --yes, because there is no terminal to ask on');
    }
    const question = word === undefined ? 'Go on? [y/N] ' : `Type ${word} to go on: `;
    const answer = (await terminal.ask(question)).trim();
    if (word === undefined ? /^y(es)?$/i.test(answer) : answer === word) return;
    this.note('Nothing was changed.');
    throw new Exit(exitCodes.interrupted);
  }

  painter(): ProgressPainter {
    const { terminal, clock, environment } = this.ports;
    const bars = terminal.errIsTerminal && environment['TERM'] !== 'dumb';
    return new ProgressPainter(terminal, clock, bars);
  }

  /**
   * Runs `watch` until it ends, Ctrl-C (exit 130, after saying that the work goes on) or the
   * time-out (`TimedOut`, exit 5).
   */
  async watching<T>(
    options: { readonly goesOn: string; readonly timeoutMs?: number },
    watch: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const abort = new AbortController();
    let interrupted = false;
    let timedOut = false;
    const stopListening = this.ports.terminal.onInterrupt(() => {
      interrupted = true;
      abort.abort();
    });
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : this.ports.clock.after(options.timeoutMs, () => {
            timedOut = true;
            abort.abort();
          });
    try {
      return await watch(abort.signal);
    } catch (error) {
      if (timedOut) fail('TimedOut', `not done in time; ${options.goesOn}`);
      if (!interrupted) throw error;
      this.note(`\nInterrupted; ${options.goesOn}`);
      throw new Exit(exitCodes.interrupted);
    } finally {
      timer?.cancel();
      stopListening();
    }
  }
}
