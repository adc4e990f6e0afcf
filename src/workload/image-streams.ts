/**
 * ImageStreams of OpenShift: names for images of the cluster's registry. Their images are copied by
 * themselves, so what a stream says of the source's registry is left out of its copy, and tags that
 * follow registries elsewhere are imported again.
 */
import type { KubeObject } from '../kube/objects.ts';
import {
  changeAt,
  each,
  type Fields,
  fieldsListAt,
  isFields,
  textAt,
  withoutAt,
} from './fields.ts';
import { parseImage } from './images.ts';
import { groupOf } from './names.ts';
import type { Step } from './transform-context.ts';

export const streamGroup = 'image.openshift.io';

export function isImageStream({ apiVersion, kind }: KubeObject): boolean {
  return groupOf(apiVersion) === streamGroup && kind === 'ImageStream';
}

/** An image of a stream as it is now. */
export interface StreamImage {
  readonly tag: string;
  /** `sha256:…`. */
  readonly digest: string;
  /** Where it comes from, as the stream says. */
  readonly from: string;
}

/** The newest image of every tag; older ones stay behind. */
export function imagesOfStream(stream: KubeObject): readonly StreamImage[] {
  return fieldsListAt(stream, 'status', 'tags').flatMap((entry) => {
    const tag = textAt(entry, 'tag');
    const [newest] = fieldsListAt(entry, 'items');
    const digest = textAt(newest, 'image');
    const from = textAt(newest, 'dockerImageReference');
    return tag === undefined || digest === undefined || from === undefined
      ? []
      : [{ tag, digest, from }];
  });
}

/** `host:port/namespace/name` of the stream in the registry of its cluster. */
export function repositoryOfStream(stream: KubeObject): string | undefined {
  return textAt(stream, 'status', 'dockerImageRepository');
}

export const mapImageStream: Step = ({ object, note }, { registries = [], namespaces }) => {
  if (!isImageStream(object)) return object;
  const isLocal = (text: string | undefined): boolean =>
    registries.includes(parseImage(text ?? '')?.host ?? '');
  let out = object;
  const follows = textAt(object, 'spec', 'dockerImageRepository');
  if (isLocal(follows)) {
    out = withoutAt(out, ['spec', 'dockerImageRepository']);
    note('Mapped', 'spec.dockerImageRepository', `${follows} is copied to the registry there`);
  }
  return changeAt(out, ['spec', 'tags', each], (value) => {
    if (!isFields(value) || !isFields(value['from'])) return value;
    const { from, ...tag } = value;
    if (textAt(from, 'kind') === 'DockerImage' && isLocal(textAt(from, 'name'))) {
      const message = `tag ${textAt(value, 'name')} gets its image by copying`;
      note('Mapped', 'spec.tags', message);
      return tag;
    }
    return { ...value, from: inNamespace(from as Fields, namespaces) };
  });
};

function inNamespace(from: Fields, namespaces: Readonly<Record<string, string>>): Fields {
  const namespace = textAt(from, 'namespace');
  if (namespace === undefined || !Object.hasOwn(namespaces, namespace)) return from;
  return { ...from, namespace: namespaces[namespace] };
}
