/** Backups in a repository, through an agent of the hub, which is who reaches it. */
import type { RequestOf } from '../../../api/control.ts';
import { asTransshipError, fail } from '../../../base/errors.ts';
import type { AgentMirror } from '../../agents/mirror.ts';
import type { Context } from '../../context.ts';
import { accessOf } from '../../repository/access.ts';
import { type BackupHead, type BackupLine, decodeHead, encodeHead, readLines } from './content.ts';

export class BackupStore {
  readonly #mirror: AgentMirror;
  readonly #name: string;

  private constructor(mirror: AgentMirror, name: string) {
    this.#mirror = mirror;
    this.#name = name;
  }

  /** `NotFound` without such a Repository, `AgentUnreachable`; others as `accessOf`. */
  static async open(context: Context, name: string): Promise<BackupStore> {
    const repository = context.informers.repositories.get({ namespace: '', name });
    if (repository === undefined) return fail('NotFound', `there is no Repository ${name}`);
    const mirror = context.agents.anyUsable();
    await mirror.call('repository.add', await accessOf(context, repository));
    return new BackupStore(mirror, name);
  }

  /** The newest last; none where nothing was ever saved. */
  async list(): Promise<readonly BackupHead[]> {
    try {
      const { items } = await this.#mirror.call('repository.backups', { name: this.#name });
      return items.map(({ spec }) => decodeHead(spec.content));
    } catch (error) {
      if (asTransshipError(error).reason === 'NotFound') return [];
      throw error;
    }
  }

  /** `NotFound` when it was forgotten meanwhile. */
  async find(backup: string | undefined): Promise<BackupHead> {
    const found = (await this.list()).find(({ name }) => name === backup);
    return found ?? fail('NotFound', `Repository ${this.#name} has no backup ${backup} any more`);
  }

  async putPart(backup: string, part: number, content: string): Promise<void> {
    await this.#put({ backup, part, content });
  }

  /** From now on it is there. */
  async putHead(head: BackupHead): Promise<void> {
    const { name: backup, parts } = head;
    await this.#put({ backup, part: 0, parts, content: encodeHead(head) });
  }

  async #put(part: Omit<RequestOf<'repository.put-backup'>, 'name'>): Promise<void> {
    await this.#mirror.call('repository.put-backup', { name: this.#name, ...part });
  }

  async forget(backup: string): Promise<void> {
    await this.#mirror.call('repository.forget-backup', { name: this.#name, backup });
  }

  /** All objects of it. `NotFound`, `DataCorrupt`. */
  async read({ name: backup, parts }: BackupHead): Promise<readonly BackupLine[]> {
    const found: string[] = [];
    for (let part = 1; part <= parts; part++) {
      const request = { name: this.#name, backup, part };
      const { spec } = await this.#mirror.call('repository.read-backup', request);
      found.push(spec.content);
    }
    return readLines(found);
  }
}
