// A caller of CSI that knows nothing of our tables: the messages as the specification has them.
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const schema = `
syntax = "proto3";
message CreateSnapshotRequest { string source_volume_id = 1; string name = 2; }
message Snapshot { int64 size_bytes = 1; string snapshot_id = 2; string source_volume_id = 3; }
message CreateSnapshotResponse { Snapshot snapshot = 1; }
message Empty {}
message Service { int32 type = 1; }
message PluginCapability { Service service = 1; }
message GetPluginCapabilitiesResponse { repeated PluginCapability capabilities = 1; }
message GetMetadataAllocatedRequest {
  string snapshot_id = 1; int64 starting_offset = 2; int32 max_results = 3;
}
message GetMetadataDeltaRequest {
  string base_snapshot_id = 1; string target_snapshot_id = 2;
  int64 starting_offset = 3; int32 max_results = 4;
}
message BlockMetadata { int64 byte_offset = 1; int64 size_bytes = 2; }
message GetMetadataResponse {
  int32 block_metadata_type = 1; int64 volume_capacity_bytes = 2;
  repeated BlockMetadata block_metadata = 3;
}`;

const { root } = protobuf.parse(schema, { keepCase: true });

export type Fields = Readonly<Record<string, unknown>>;

/** What the service answers, with the status in which it ended. */
export interface Ended<T> {
  readonly answers: readonly T[];
  readonly code: number;
  readonly details: string;
}

export class Caller implements Disposable {
  readonly #client: grpc.Client;

  /** `endpoint`: `unix:///PATH`. */
  constructor(endpoint: string) {
    this.#client = new grpc.Client(endpoint, grpc.credentials.createInsecure());
  }

  call(method: string, request: string, answer: string, fields: Fields = {}): Promise<Fields> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method,
        (value: Fields) => encode(request, value),
        (bytes) => decode(answer, bytes),
        fields,
        (error, value) => (error === null ? resolve(value ?? {}) : reject(error)),
      );
    });
  }

  /** Messages as they come; for who stops in between. */
  open(
    method: string,
    request: string,
    fields: Fields,
  ): grpc.ClientReadableStream<{ block_metadata?: readonly BlockMetadata[] } & Fields> {
    return this.#client.makeServerStreamRequest(
      method,
      (value: Fields) => encode(request, value),
      (bytes) => decode('GetMetadataResponse', bytes),
      fields,
    );
  }

  all(method: string, request: string, fields: Fields): Promise<Ended<MetadataAnswer>> {
    const stream = this.open(method, request, fields);
    const answers: MetadataAnswer[] = [];
    stream.on('data', (one: MetadataAnswer) => answers.push(one));
    // The status says the same.
    stream.on('error', () => undefined);
    return new Promise((resolve) => {
      stream.on('status', ({ code, details }) => resolve({ answers, code, details }));
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

export interface BlockMetadata {
  readonly byte_offset: number;
  readonly size_bytes: number;
}

export interface MetadataAnswer {
  readonly block_metadata_type: number;
  readonly volume_capacity_bytes: number;
  readonly block_metadata: readonly BlockMetadata[];
}

function encode(type: string, value: Fields): Buffer {
  const found = root.lookupType(type);
  return Buffer.from(found.encode(found.fromObject(value)).finish());
}

function decode(type: string, bytes: Uint8Array): Fields {
  const found = root.lookupType(type);
  const options = { longs: Number, defaults: true, arrays: true };
  return found.toObject(found.decode(bytes), options);
}
