/** Image references: read, told apart, rewritten (github.com/distribution/reference, "Grammar"). */
import { fail } from '../base/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { containerLists, podSpecPaths } from './pod-specs.ts';
import { fieldsListAt, textAt, valueAt } from './fields.ts';

export interface ImageReference {
  /** With the port where one is named. `docker.io` when the text names none. */
  readonly host: string;
  readonly repository: string;
  readonly tag?: string;
  /** `sha256:…`. */
  readonly digest?: string;
}

export interface ImageUse {
  /** As it stands in the object. */
  readonly text: string;
  readonly container: string;
  /** Undefined when the text is no image reference. */
  readonly image: ImageReference | undefined;
}

const defaultHost = 'docker.io';
const repositoryPattern = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+|\/)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestPattern = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,}$/i;

/** Undefined for what is no reference. */
export function parseImage(text: string): ImageReference | undefined {
  const [before = '', digest, ...rest] = text.split('@');
  if (rest.length > 0 || (digest !== undefined && !digestPattern.test(digest))) return undefined;
  const colon = before.lastIndexOf(':');
  const hasTag = colon > before.lastIndexOf('/');
  const tag = hasTag ? before.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) return undefined;
  const { host, repository } = splitHost(hasTag ? before.slice(0, colon) : before);
  if (!repositoryPattern.test(repository)) return undefined;
  return {
    host,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The first part is a host when it could not be a part of a repository. */
function splitHost(path: string): { host: string; repository: string } {
  const slash = path.indexOf('/');
  const first = slash < 0 ? '' : path.slice(0, slash);
  if (first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase()) {
    return { host: first, repository: path.slice(slash + 1) };
  }
  return { host: defaultHost, repository: slash < 0 ? `library/${path}` : path };
}

export function imageText({ host, repository, tag, digest }: ImageReference): string {
  const tagged = tag === undefined ? '' : `:${tag}`;
  return `${host}/${repository}${tagged}${digest === undefined ? '' : `@${digest}`}`;
}

/** Images of all containers of an object, and of its templates. */
export function imagesOf(object: KubeObject): readonly ImageUse[] {
  return podSpecPaths(object).flatMap((path) => {
    const spec = valueAt(object, path);
    return containerLists
      .flatMap((list) => fieldsListAt(spec, list))
      .flatMap((container) => {
        const text = textAt(container, 'image');
        if (text === undefined) return [];
        return [{ text, container: textAt(container, 'name') ?? '', image: parseImage(text) }];
      });
  });
}

/**
 * `from` is a registry, a beginning of a repository up to a `/`, or a whole image; `to` takes its
 * place. What `from` does not name (tag, digest) stays, unless `to` names a tag or digest itself.
 */
export interface ImageRule {
  readonly from: string;
  readonly to: string;
}

/** Gives the new text, or undefined when no rule is about the image. */
export type ImageRewriter = (text: string) => string | undefined;

interface ReadRule {
  /** `host/repository`, or its beginning. */
  readonly path: string;
  readonly exact: Pick<ImageReference, 'tag' | 'digest'>;
  readonly to: string;
  readonly toImage: ImageReference | undefined;
}

function readRule({ from, to }: ImageRule): ReadRule {
  if (from === '' || to === '') fail('BadArgument', 'an image rule needs both ends');
  const cleanTo = to.replace(/\/$/, '');
  const toImage = parseImage(cleanTo);
  const isHost = /^[^/]+$/.test(from) && (/[.:]/.test(from) || from === 'localhost');
  if (isHost || from.endsWith('/')) {
    const path = from.replace(/\/$/, '');
    return { path, exact: {}, to: cleanTo, toImage: undefined };
  }
  const image = parseImage(from);
  if (image === undefined) return fail('BadArgument', `"${from}" is no image and no registry`);
  const { host, repository, ...exact } = image;
  return { path: `${host}/${repository}`, exact, to: cleanTo, toImage };
}

/** The rule that says most about an image wins. `BadArgument` for a rule that is none. */
export function createImageRewriter(rules: readonly ImageRule[]): ImageRewriter {
  const weight = ({ path, exact }: ReadRule): number =>
    path.length + 1000 * ((exact.tag === undefined ? 0 : 1) + (exact.digest === undefined ? 0 : 2));
  const known = rules.map(readRule).toSorted((a, b) => weight(b) - weight(a));
  return (text) => {
    const image = parseImage(text);
    if (image === undefined) return undefined;
    const rule = known.find((one) => concerns(one, image));
    return rule === undefined ? undefined : rewritten(rule, image);
  };
}

function concerns({ path, exact }: ReadRule, image: ImageReference): boolean {
  const whole = `${image.host}/${image.repository}`;
  if (exact.tag !== undefined && exact.tag !== image.tag) return false;
  if (exact.digest !== undefined && exact.digest !== image.digest) return false;
  return whole === path || whole.startsWith(`${path}/`);
}

function rewritten({ path, to, toImage }: ReadRule, image: ImageReference): string {
  const rest = `${image.host}/${image.repository}`.slice(path.length);
  const ownSuffix = toImage?.tag !== undefined || toImage?.digest !== undefined;
  if (ownSuffix && rest === '') return to;
  const tag = image.tag === undefined ? '' : `:${image.tag}`;
  const digest = image.digest === undefined ? '' : `@${image.digest}`;
  return `${to}${rest}${tag}${digest}`;
}
