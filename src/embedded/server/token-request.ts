/** Tokens of service accounts on request (authentication.k8s.io/v1 TokenRequest). */
import type { KubeResponse } from '../../kube/transport.ts';
import type { JsonObject } from '../schema/api.ts';
import { metaOf, nameOf, numberAt, objectAt, textAt, textsAt } from './json.ts';
import { type Call, timeText } from './kernel.ts';
import { invalidValue } from './metadata.ts';
import { objectOf } from './present.ts';
import { objectResponse } from './response.ts';
import { badRequest, conflict, invalid, notFound } from './status.ts';
import { type BoundObject, defaultAudience } from './tokens.ts';
import { isDryRun } from './write-options.ts';
import { requireBody, requireEntry } from './writing.ts';

const lifeSecondsDefault = 3600;
const lifeSecondsMin = 600;
/** What a longer wish is cut to: a year. */
const lifeSecondsMax = 365 * 24 * 3600;
const lifeSecondsAskedMax = 2 ** 32;

const subject = { group: 'authentication.k8s.io', plural: 'tokenrequests', kind: 'TokenRequest' };

export function createToken(call: Call): KubeResponse {
  const { kernel, target } = call;
  const account = objectOf(kernel.store, call.resource, requireEntry(call));
  const body = requireBody(call);
  const spec = objectAt(body, 'spec');
  const asked = numberAt(spec, 'expirationSeconds') ?? lifeSecondsDefault;
  requireLife(asked);
  const seconds = Math.min(asked, lifeSecondsMax);
  const wanted = textsAt(spec, 'audiences');
  const audiences = wanted.length === 0 ? [defaultAudience] : wanted;
  const bound = boundTo(call, objectAt(spec, 'boundObjectRef'));
  const expiresAtMs = kernel.clock.wallMs() + seconds * 1000;
  const token = isDryRun(call.info.query.getAll('dryRun'), 'CreateOptions')
    ? ''
    : kernel.tokens.issue({
        namespace: target.namespace,
        account: target.name,
        uid: textAt(metaOf(account), 'uid'),
        audiences,
        expiresAtMs,
        bound,
      });
  return objectResponse(201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: {
      name: nameOf(account),
      namespace: target.namespace,
      creationTimestamp: timeText(kernel.clock),
    },
    spec: { ...spec, audiences, expirationSeconds: seconds },
    status: { token, expirationTimestamp: timeText(kernel.clock, seconds) },
  });
}

function requireLife(seconds: number): void {
  const field = 'spec.expirationSeconds';
  if (seconds < lifeSecondsMin) {
    const why = 'may not specify a duration less than 10 minutes';
    throw invalid(subject, '', [invalidValue(field, seconds, why)]);
  }
  if (seconds > lifeSecondsAskedMax) {
    const why = 'may not specify a duration larger than 2^32 seconds';
    throw invalid(subject, '', [invalidValue(field, seconds, why)]);
  }
}

function boundTo(call: Call, ref: JsonObject): BoundObject | undefined {
  const kind = textAt(ref, 'kind');
  const name = textAt(ref, 'name');
  if (kind === '') return undefined;
  if (kind !== 'Pod' && kind !== 'Secret') {
    throw badRequest(`cannot bind token for serviceaccount to ${kind}: only to Pod or Secret`);
  }
  const plural = `${kind.toLowerCase()}s`;
  const { namespace } = call.target;
  const found = call.kernel.store.getObject(`//${plural}/${namespace}/${name}`);
  if (found === undefined) throw notFound({ group: '', plural }, name);
  const uid = textAt(metaOf(found), 'uid');
  const says = textAt(ref, 'uid');
  if (says !== '' && says !== uid) {
    const why = `the UID in the bound object reference (${says}) does not match the UID in record`;
    throw conflict({ group: '', plural, kind }, name, why);
  }
  return { kind, name, uid };
}
