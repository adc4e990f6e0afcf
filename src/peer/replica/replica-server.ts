/** Answers the replica operations of other agents of this cluster from the replicas kept here. */
import { fail } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Term } from '../../volume/replica-types.ts';
import { decodeJson, encodeJson, type Fields } from '../json-fields.ts';
import { operations } from '../messages.ts';
import type { Answer, Incoming } from '../session.ts';
import type { ReplicaPort, ReplicaStatus } from './api.ts';
import {
  decodeConfiguration,
  decodeCreate,
  decodeLimits,
  decodeMark,
  decodePoint,
  decodeSealed,
  decodeTerm,
  decodeWrite,
  encodeSealed,
  encodeStatus,
} from './codec.ts';

const volumeOf = (fields: Fields) => fields.text('volume', limits.nameLengthMax);

export interface ReplicaService {
  /** The replica of a volume that this agent keeps. `NotFound`. */
  find(volume: string): ReplicaPort;
  /** The place of a replica that is to be made in a pool. `NotFound`, `AlreadyExists`. */
  place(volume: string, pool: string): ReplicaPort;
  /** Undefined when nothing of that name is kept here. */
  state(volume: string): Promise<ReplicaStatus | undefined>;
  /** A sealed version may be let go, also when its replica was deleted since. */
  releaseSeal(leaseId: string): Promise<void>;
}

/** True when the operation is one of replicas: then it was, or is being, answered. */
export async function serveReplica(
  service: ReplicaService,
  incoming: Incoming,
  answer: Answer,
): Promise<void> {
  switch (incoming.type) {
    case operations.replicaWrite: {
      const { volume, term, batch } = decodeWrite(incoming.payload);
      await service.find(volume).write({ ...term, leader: '' }, batch);
      return answer.frame([], { last: true });
    }
    case operations.replicaRead:
      return serveRead(service, decodeJson(incoming.payload), answer);
    case operations.replicaFlush: {
      const fields = decodeJson(incoming.payload);
      const port = service.find(volumeOf(fields));
      await port.flush(decodeTerm(fields.object('term')), fields.count('sequence'));
      return answer.frame([encodeJson({})], { last: true });
    }
    case operations.replicaState: {
      const replica = await service.state(volumeOf(decodeJson(incoming.payload)));
      const said = replica === undefined ? {} : { replica: encodeStatus(replica) };
      return answer.frame([encodeJson(said)], { last: true });
    }
    case operations.replicaChange: {
      const said = await change(service, decodeJson(incoming.payload));
      return answer.frame([encodeJson(said)], { last: true });
    }
    default:
      return fail('Unsupported', `operation ${incoming.type} is unknown to this agent`);
  }
}

async function serveRead(service: ReplicaService, fields: Fields, answer: Answer): Promise<void> {
  const bytes = fields.count('bytes');
  if (bytes > limits.requestBytesMax) fail('LimitExceeded', `a read of ${bytes} bytes`);
  const into = new Uint8Array(bytes);
  const [offset, sequence] = [fields.count('offset'), fields.count('sequence')];
  const port = service.find(volumeOf(fields));
  await port.read(decodeTerm(fields.object('term')), { into, offset, sequence });
  const step = limits.frameBytesTarget;
  for (let at = 0; at < bytes; at += step) {
    if (answer.abandoned) return;
    await answer.frame([into.subarray(at, at + step)], { last: at + step >= bytes });
  }
}

/** What a leader can order; each answers with what is so afterwards. */
async function change(service: ReplicaService, fields: Fields): Promise<object> {
  const volume = volumeOf(fields);
  const action = fields.text('action', 16);
  if (action === 'release') {
    await service.releaseSeal(fields.text('leaseId', 128));
    return {};
  }
  const term = decodeTerm(fields.object('term'));
  if (action === 'create') {
    const port = service.place(volume, fields.text('pool', limits.nameLengthMax));
    return statusOf(await port.create(term, decodeCreate(fields.object('request'))));
  }
  const port = service.find(volume);
  if (action === 'seal') {
    const leaseId = fields.text('leaseId', 32);
    return { version: encodeSealed(await port.seal(term, fields.count('sequence'), leaseId)) };
  }
  if (action === 'limit') {
    await port.limit(term, decodeLimits(fields.object('limits')));
    return {};
  }
  if (action === 'drop') {
    await port.drop(term);
    return {};
  }
  return statusOf(await transition({ port, term, action, fields }));
}

interface Order {
  readonly port: ReplicaPort;
  readonly term: Term;
  readonly action: string;
  readonly fields: Fields;
}

/** Whoever asks over a link takes it back by not asking again. */
function transition({ port, term, action, fields }: Order): Promise<ReplicaStatus> {
  const configuration = () => decodeConfiguration(fields.object('configuration'));
  switch (action) {
    case 'promise':
      return port.promise(term);
    case 'adopt':
      return port.adopt(term, decodeMark(fields.object('mark')), configuration());
    case 'revert':
      return port.revert(term);
    case 'receive':
      return port.receive(term);
    case 'rebase': {
      const limitsNow = decodeLimits(fields.object('limits'));
      return port.rebase(term, decodeSealed(fields.object('version')), limitsNow);
    }
    case 'finish':
      return port.finish(term, fields.count('sequence'));
    case 'configure':
      return port.configure(term, configuration(), fields.count('sequence'));
    case 'point': {
      const operation = decodePoint(fields.object('operation'));
      const [sequence, points] = [fields.count('sequence'), fields.count('points')];
      return port.point(term, { sequence, points, operation }, new AbortController().signal);
    }
    default:
      return fail('Unsupported', 'this agent knows no such order for a replica; upgrade it');
  }
}

function statusOf(replica: ReplicaStatus): object {
  return { replica: encodeStatus(replica) };
}
