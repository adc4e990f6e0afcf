/** A pod's volumes as directories and files of this machine, and where its containers see them. */
import { fail } from '../../../base/errors.ts';
import type { KubeClient } from '../../../kube/api.ts';
import type {
  Container,
  DownwardItem,
  KeyToPath,
  PodVolume,
  Projection,
} from '../../../kube/pod-spec.ts';
import { configMaps, secrets } from '../../../kube/resources.ts';
import type { Pod } from '../kinds/pods.ts';
import { type Claim, type PersistentVolume, claims, persistentVolumes } from '../kinds/storage.ts';
import type { DirectoryVolumes, Mount, PodFile, PodFiles, VolumeMounts } from '../ports.ts';
import { boundNote } from '../storage/claim-binder.ts';
import { isDirectory } from '../storage/directory-decisions.ts';
import { type NodeResources, fieldText, resourceText } from './fields.ts';

export interface VolumePorts {
  readonly client: KubeClient;
  readonly files: PodFiles;
  readonly volumes: VolumeMounts;
  readonly directories: DirectoryVolumes;
  readonly node: NodeResources;
}

/** One volume as it is on this machine. */
export interface Prepared {
  /** A directory, or a device; undefined where it cannot be attached. */
  readonly path: string | undefined;
  readonly readOnly: boolean;
  /** For claims on the engine. */
  readonly nbd?: { readonly claim: string; readonly uri: string };
}

export type PreparedVolumes = ReadonlyMap<string, Prepared>;

const defaultMode = 0o644;
const claimNote = 'engine-volumes';
const tokenSeconds = 3600;

/** Everything that a pod needs. May be called again: what is there stays, files are renewed. */
export async function prepareVolumes(ports: VolumePorts, pod: Pod): Promise<PreparedVolumes> {
  const prepared = new Map<string, Prepared>();
  for (const volume of pod.spec.volumes ?? []) {
    prepared.set(volume.name, await prepare(ports, pod, volume));
  }
  return prepared;
}

async function prepare(ports: VolumePorts, pod: Pod, volume: PodVolume): Promise<Prepared> {
  const { files } = ports;
  const uid = pod.metadata.uid ?? '';
  const { name, hostPath } = volume;
  if (hostPath !== undefined) {
    files.checkHostPath(hostPath.path, hostPath.type ?? '');
    return { path: hostPath.path, readOnly: false };
  }
  const claimName =
    volume.persistentVolumeClaim?.claimName ??
    (volume.ephemeral === undefined ? undefined : `${pod.metadata.name}-${name}`);
  if (claimName !== undefined) return prepareClaim(ports, pod, volume, claimName);
  const sources = projectionsOf(volume);
  if (sources === undefined) {
    if (volume.emptyDir === undefined)
      fail('Invalid', `volume ${name} is of a kind that is not served here`);
    return { path: files.makeDirectory(uid, name), readOnly: false };
  }
  const content: PodFile[] = [];
  for (const source of sources.sources) {
    content.push(...(await projected(ports, pod, source, sources.mode)));
  }
  return { path: files.writeFiles(uid, name, content), readOnly: true };
}

interface Projected {
  readonly mode: number;
  readonly sources: readonly Projection[];
}

function projectionsOf({
  configMap,
  secret,
  downwardAPI,
  projected,
}: PodVolume): Projected | undefined {
  if (configMap !== undefined) {
    return { mode: configMap.defaultMode ?? defaultMode, sources: [{ configMap }] };
  }
  if (secret !== undefined) {
    const { secretName = '', ...rest } = secret;
    return {
      mode: secret.defaultMode ?? defaultMode,
      sources: [{ secret: { ...rest, name: secretName } }],
    };
  }
  if (downwardAPI !== undefined) {
    return { mode: downwardAPI.defaultMode ?? defaultMode, sources: [{ downwardAPI }] };
  }
  if (projected === undefined) return undefined;
  return { mode: projected.defaultMode ?? defaultMode, sources: projected.sources ?? [] };
}

async function projected(
  ports: VolumePorts,
  pod: Pod,
  source: Projection,
  mode: number,
): Promise<readonly PodFile[]> {
  const { namespace = '' } = pod.metadata;
  if (source.configMap !== undefined) {
    const { name = '', optional, items } = source.configMap;
    const found = await ports.client.get(configMaps, { namespace, name });
    const texts = Object.entries(found?.data ?? {}).map(
      ([key, text]) => [key, Buffer.from(text)] as const,
    );
    const all = new Map([...texts, ...decoded(found?.binaryData)]);
    return select(found && all, items, { what: `configmap "${name}"`, optional, mode });
  }
  if (source.secret !== undefined) {
    const { name = '', optional, items } = source.secret;
    const found = await ports.client.get(secrets, { namespace, name });
    const all = new Map(decoded(found?.data));
    return select(found && all, items, { what: `secret "${name}"`, optional, mode });
  }
  if (source.serviceAccountToken !== undefined) {
    const token = await requestToken(ports.client, pod, source.serviceAccountToken);
    return [{ path: source.serviceAccountToken.path, content: Buffer.from(token), mode: 0o600 }];
  }
  return (source.downwardAPI?.items ?? []).map((item) => downward(ports, pod, item, mode));
}

function decoded(data: Readonly<Record<string, string>> = {}): (readonly [string, Buffer])[] {
  return Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64')] as const);
}

interface Selection {
  readonly what: string;
  readonly optional: boolean | undefined;
  readonly mode: number;
}

function select(
  all: ReadonlyMap<string, Uint8Array> | undefined,
  items: readonly KeyToPath[] | undefined,
  { what, optional, mode }: Selection,
): readonly PodFile[] {
  if (all === undefined) {
    if (optional === true) return [];
    return fail('Invalid', `${what} not found`);
  }
  if (items === undefined) return [...all].map(([path, content]) => ({ path, content, mode }));
  return items.flatMap((item) => {
    const content = all.get(item.key);
    if (content !== undefined) return [{ path: item.path, content, mode: item.mode ?? mode }];
    if (optional === true) return [];
    return fail('Invalid', `${what} has no key ${item.key}`);
  });
}

function downward(ports: VolumePorts, pod: Pod, item: DownwardItem, mode: number): PodFile {
  const { fieldRef, resourceFieldRef } = item;
  const first = pod.spec.containers[0]?.name ?? '';
  const text =
    fieldRef !== undefined
      ? fieldText(pod, fieldRef.fieldPath)
      : resourceFieldRef === undefined
        ? ''
        : resourceText(pod.spec.containers, resourceFieldRef, {
            container: first,
            node: ports.node,
          });
  return { path: item.path, content: Buffer.from(text), mode: item.mode ?? mode };
}

type TokenSource = NonNullable<Projection['serviceAccountToken']>;

/** A token of the pod's service account, for as long as this pod lives. */
async function requestToken(client: KubeClient, pod: Pod, source: TokenSource): Promise<string> {
  const { namespace = '', name, uid } = pod.metadata;
  const account = pod.spec.serviceAccountName ?? 'default';
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
  const answer = (await client.request('POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: source.audience === undefined ? [] : [source.audience],
      expirationSeconds: source.expirationSeconds ?? tokenSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
    },
  })) as { readonly status?: { readonly token?: string } };
  return answer.status?.token ?? fail('ApiFailed', `the server gave no token for ${account}`);
}

async function prepareClaim(
  ports: VolumePorts,
  pod: Pod,
  { persistentVolumeClaim }: PodVolume,
  claimName: string,
): Promise<Prepared> {
  const { client } = ports;
  const key = { namespace: pod.metadata.namespace ?? '', name: claimName };
  const claim = await client.get(claims, key);
  if (claim === undefined) return fail('Invalid', `persistentvolumeclaim "${claimName}" not found`);
  const { volumeName = '' } = claim.spec;
  const isBound = claim.metadata.annotations?.[boundNote] !== undefined && volumeName !== '';
  if (!isBound) fail('Invalid', `persistentvolumeclaim "${claimName}" is not bound`);
  const volume = await client.get(persistentVolumes, { namespace: '', name: volumeName });
  if (volume === undefined) return fail('Invalid', `persistentvolume "${volumeName}" not found`);
  const readOnly = persistentVolumeClaim?.readOnly === true || isReadOnly(claim, volume);
  const { hostPath, local, csi, volumeMode } = volume.spec;
  if (volumeMode === 'Block' && isDirectory(volume)) {
    const path = await ports.directories.path({ name: volumeName, block: true });
    return { path, readOnly };
  }
  const path = hostPath?.path ?? local?.path;
  if (path !== undefined) {
    ports.files.checkHostPath(path, hostPath?.type ?? '');
    return { path, readOnly };
  }
  if (csi === undefined)
    return fail('Invalid', `persistentvolume "${volumeName}" is of a kind that is not served here`);
  noteVolume(ports.files, pod, csi.volumeHandle);
  const block = volumeMode === 'Block';
  const mounted = await ports.volumes.mount(csi.volumeHandle, {
    readOnly,
    fsType: csi.fsType ?? 'ext4',
    block,
  });
  return { path: mounted.path, readOnly, nbd: { claim: claimName, uri: mounted.nbdUri } };
}

function isReadOnly(claim: Claim, volume: PersistentVolume): boolean {
  const modes = claim.spec.accessModes ?? [];
  return (
    volume.spec.csi?.readOnly === true ||
    (modes.length > 0 && modes.every((one) => one === 'ReadOnlyMany'))
  );
}

/** Written down before it is mounted, so that it is let go whatever happens to us. */
function noteVolume(files: PodFiles, pod: Pod, volume: string): void {
  const uid = pod.metadata.uid ?? '';
  const known = notedVolumes(files, uid);
  if (known.includes(volume)) return;
  files.note(uid, claimNote, JSON.stringify([...known, volume]));
}

export function notedVolumes(files: PodFiles, uid: string): readonly string[] {
  return JSON.parse(files.readNote(uid, claimNote) ?? '[]') as readonly string[];
}

function forgetVolume(files: PodFiles, uid: string, volume: string): void {
  const left = notedVolumes(files, uid).filter((one) => one !== volume);
  files.note(uid, claimNote, JSON.stringify(left));
}

/** Lets the engine's volumes go that no other pod of this machine uses. */
export async function releaseVolumes(
  ports: Pick<VolumePorts, 'files' | 'volumes'>,
  uid: string,
  others: () => readonly string[],
): Promise<void> {
  const { files, volumes } = ports;
  const isNoted = (volume: string) => (one: string) =>
    one !== uid && notedVolumes(files, one).includes(volume);
  for (const volume of notedVolumes(files, uid)) {
    await volumes.unmount(volume, () => {
      const isInUse = others().some(isNoted(volume));
      // At once: of two that end together the second must not take the first for a user.
      if (isInUse) forgetVolume(files, uid, volume);
      return isInUse;
    });
  }
  files.note(uid, claimNote, undefined);
}

/** Where a container sees its volumes, and what it is told of them. */
export function mountsOf(
  container: Container,
  prepared: PreparedVolumes,
  files: PodFiles,
): { readonly mounts: readonly Mount[]; readonly env: Readonly<Record<string, string>> } {
  const mounts: Mount[] = [];
  const env: Record<string, string> = {};
  for (const { name, mountPath, subPath, readOnly = false } of container.volumeMounts ?? []) {
    const volume = found(prepared, name);
    if (volume.path === undefined) continue;
    const source =
      subPath === undefined || subPath === '' ? volume.path : files.subPath(volume.path, subPath);
    const variable = variableOf(name);
    mounts.push({ source, target: mountPath, readOnly: readOnly || volume.readOnly, variable });
  }
  for (const { name, devicePath } of container.volumeDevices ?? []) {
    const volume = found(prepared, name);
    if (volume.path === undefined) continue;
    const variable = variableOf(name);
    mounts.push({ source: volume.path, target: devicePath, readOnly: false, variable });
  }
  for (const { nbd } of prepared.values()) {
    if (nbd !== undefined) env[`TRANSSHIP_NBD_${envWord(nbd.claim)}`] = nbd.uri;
  }
  return { mounts, env };
}

function found(prepared: PreparedVolumes, name: string): Prepared {
  return prepared.get(name) ?? fail('Invalid', `there is no volume ${name}`);
}

function variableOf(volume: string): string {
  return `TRANSSHIP_MOUNT_${envWord(volume)}`;
}

function envWord(name: string): string {
  return name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
}

/** Has it files that follow their sources? */
export function isRenewed(pod: Pod): boolean {
  return (pod.spec.volumes ?? []).some((volume) => projectionsOf(volume) !== undefined);
}
