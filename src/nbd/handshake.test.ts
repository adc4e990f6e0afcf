import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { bytesOf, packFields, textOf, u16, u32, viewOf } from './bytes.ts';
import { MemoryDevice } from './memory-device.ts';
import { command, nbdLimits, option, optionReply, transmissionFlags } from './protocol.ts';
import {
  RecordingConnection,
  clientFlags,
  exportsOf,
  goFrame,
  nameField,
  optionAnswers,
  optionFrame,
  requestFrame,
  sessionOn,
} from './testing.ts';
import { type Session, type SessionOptions } from './session.ts';

const mebibyte = 1024 * 1024;

function begin(options: Partial<SessionOptions> = {}): {
  readonly session: Session;
  readonly connection: RecordingConnection;
} {
  const connection = new RecordingConnection();
  const volume = new MemoryDevice({ sizeBytes: mebibyte });
  const frozen = new MemoryDevice({ sizeBytes: 4096, readOnly: true });
  const session = sessionOn(connection, exportsOf({ volume, frozen }), options);
  return { session, connection };
}

function haggling(options: Partial<SessionOptions> = {}): ReturnType<typeof begin> {
  const begun = begin(options);
  begun.session.receive(clientFlags);
  begun.connection.taken();
  return begun;
}

test('the greeting is fixed newstyle without zeroes', () => {
  const { connection } = begin();
  const greeting = connection.taken();
  assert.equal(Buffer.from(greeting).toString('latin1', 0, 16), 'NBDMAGICIHAVEOPT');
  assert.equal(viewOf(greeting).getUint16(16), 3);
});

test('unknown client flags end the connection', () => {
  const { session, connection } = begin();
  session.receive(packFields([u32(0x80000003)]));
  assert.equal(connection.closed, true);
});

test('go describes the export and starts transmission', () => {
  const { session, connection } = haggling();
  session.receive(goFrame('volume'));
  const answers = optionAnswers(connection.taken());
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    [optionReply.info, optionReply.info, optionReply.ack],
  );
  const about = viewOf(answers[0]!.data);
  assert.equal(about.getUint32(6), mebibyte);
  const flags = about.getUint16(10);
  assert.ok((flags & transmissionFlags.canMultiConn) !== 0);
  assert.ok((flags & transmissionFlags.readOnly) === 0);
  const sizes = viewOf(answers[1]!.data);
  assert.deepEqual([sizes.getUint32(2), sizes.getUint32(6)], [1, 65536]);
  assert.equal(sizes.getUint32(10), nbdLimits.requestBytesMax);
  assert.equal(session.transmitting, true);
});

test('a read-only export says so and offers no writes', () => {
  const { session, connection } = haggling();
  session.receive(goFrame('frozen'));
  const flags = viewOf(optionAnswers(connection.taken())[0]!.data).getUint16(10);
  assert.ok((flags & transmissionFlags.readOnly) !== 0);
  assert.equal(flags & transmissionFlags.sendTrim, 0);
});

test('an unknown export is named in the refusal, and haggling goes on', () => {
  const { session, connection } = haggling();
  session.receive(goFrame('nope'));
  const [answer] = optionAnswers(connection.taken());
  assert.equal(answer?.kind, optionReply.errorUnknown);
  assert.match(textOf(answer.data) ?? '', /nope/);
  session.receive(goFrame('volume'));
  assert.equal(session.transmitting, true);
});

test('list names all exports', () => {
  const { session, connection } = haggling();
  session.receive(optionFrame(option.list));
  const answers = optionAnswers(connection.taken());
  assert.deepEqual(
    answers.slice(0, 2).map(({ data }) => textOf(data.subarray(4))),
    ['volume', 'frozen'],
  );
  assert.equal(answers[2]?.kind, optionReply.ack);
});

test('info answers without starting transmission', () => {
  const { session, connection } = haggling();
  session.receive(optionFrame(option.info, [...nameField('volume'), u16(1), u16(1)]));
  const kinds = optionAnswers(connection.taken()).map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(0, 3), [optionReply.info, optionReply.info, optionReply.info]);
  assert.equal(session.transmitting, false);
});

test('export name answers with size and flags, padded unless the client asked not to', () => {
  for (const [flags, length] of [
    [3, 10],
    [1, 134],
  ] as const) {
    const { session, connection } = begin();
    session.receive(packFields([u32(flags)]));
    connection.taken();
    session.receive(optionFrame(option.exportName, [bytesOf('volume')]));
    assert.equal(connection.taken().length, length);
    assert.equal(session.transmitting, true);
  }
});

test('export name of an unknown export ends the connection', () => {
  const { session, connection } = haggling();
  session.receive(optionFrame(option.exportName, [bytesOf('nope')]));
  assert.equal(connection.closed, true);
});

test('requests right behind the last option are served', () => {
  const { session, connection } = haggling();
  const read = requestFrame({ type: command.read, offset: 0, length: 16 });
  session.receive(packFields([goFrame('volume'), read]));
  assert.equal(connection.taken().subarray(-32).length, 32);
  assert.equal(connection.closed, false);
});

test('a door that refuses is a policy error with its message', () => {
  const volume = new MemoryDevice({ sizeBytes: mebibyte });
  const connection = new RecordingConnection();
  const session = sessionOn(connection, {
    ...exportsOf({ volume }),
    open: () => {
      throw new TransshipError('InUse', 'volume is being restored');
    },
  });
  session.receive(clientFlags);
  connection.taken();
  session.receive(goFrame('volume'));
  const [answer] = optionAnswers(connection.taken());
  assert.equal(answer?.kind, optionReply.errorPolicy);
  assert.equal(textOf(answer.data), 'volume is being restored');
});

test('the door is released once, when the connection is gone', () => {
  let open = 0;
  const volume = new MemoryDevice({ sizeBytes: mebibyte });
  const connection = new RecordingConnection();
  const session = sessionOn(connection, {
    ...exportsOf({ volume }),
    open: () => {
      open += 1;
      return () => {
        open -= 1;
      };
    },
  });
  session.receive(clientFlags);
  session.receive(goFrame('volume'));
  assert.equal(open, 1);
  session.closed();
  session.closed();
  assert.equal(open, 0);
});

test('meta contexts need structured replies, and only base:allocation is there', () => {
  const { session, connection } = haggling();
  const ask = (code: number, ...queries: string[]) => {
    const fields = queries.flatMap(nameField);
    session.receive(optionFrame(code, [...nameField('volume'), u32(queries.length), ...fields]));
    return optionAnswers(connection.taken()).map(({ kind }) => kind);
  };
  assert.deepEqual(ask(option.setMetaContext, 'base:allocation'), [optionReply.errorInvalid]);
  session.receive(optionFrame(option.structuredReply));
  connection.taken();
  const found = [optionReply.metaContext, optionReply.ack];
  assert.deepEqual(ask(option.setMetaContext, 'base:allocation'), found);
  assert.deepEqual(ask(option.setMetaContext, 'base:'), [optionReply.ack]);
  assert.deepEqual(ask(option.listMetaContext), found);
  assert.deepEqual(ask(option.listMetaContext, 'base:'), found);
  assert.deepEqual(ask(option.listMetaContext, 'qemu:'), [optionReply.ack]);
});

test('malformed options are answered, not believed', () => {
  const { session, connection } = haggling();
  const invalid = [
    optionFrame(option.list, [u32(1)]),
    optionFrame(option.go, [u32(0xffffffff)]),
    optionFrame(option.go, [...nameField('volume'), u16(7)]),
    optionFrame(option.go, [...nameField('vol\0ume'), u16(0)]),
    optionFrame(option.go, [...nameField('a'.repeat(5000)), u16(0)]),
    optionFrame(option.structuredReply, [u32(0)]),
    optionFrame(option.setMetaContext, [...nameField('volume'), u32(0xffffffff)]),
  ];
  for (const frame of invalid) {
    session.receive(frame);
    const [answer] = optionAnswers(connection.taken());
    assert.equal(answer?.kind, optionReply.errorInvalid);
  }
  session.receive(optionFrame(11));
  assert.equal(optionAnswers(connection.taken())[0]?.kind, optionReply.errorUnsupported);
  assert.equal(connection.closed, false);
});

test('a long option is skipped and refused, an endless one ends the connection', () => {
  const { session, connection } = haggling();
  session.receive(optionFrame(option.go, [new Uint8Array(nbdLimits.optionBytesMax + 1)]));
  assert.equal(optionAnswers(connection.taken())[0]?.kind, optionReply.errorTooBig);
  session.receive(goFrame('volume').subarray(0, 12));
  assert.equal(connection.closed, false);
  const endless = haggling();
  endless.session.receive(optionFrame(option.go).subarray(0, 12));
  endless.session.receive(packFields([u32(0xffffffff)]));
  assert.equal(endless.connection.closed, true);
});

test('haggling for ever ends the connection', () => {
  const { session, connection } = haggling();
  for (let count = 0; count < nbdLimits.optionsMax; count += 1) {
    session.receive(optionFrame(option.structuredReply));
  }
  assert.equal(connection.closed, false);
  session.receive(optionFrame(option.structuredReply));
  assert.equal(connection.closed, true);
});

test('abort is acknowledged before the connection ends', () => {
  const { session, connection } = haggling();
  session.receive(optionFrame(option.abort));
  assert.equal(optionAnswers(connection.taken())[0]?.kind, optionReply.ack);
  assert.equal(connection.closed, true);
});

test('where TLS is required nothing else is answered before it', () => {
  let started = 0;
  const onStartTls = () => {
    started += 1;
  };
  const { session, connection } = haggling({ tls: 'required', onStartTls });
  for (const frame of [goFrame('volume'), optionFrame(option.list)]) {
    session.receive(frame);
    assert.equal(optionAnswers(connection.taken())[0]?.kind, optionReply.errorTlsRequired);
  }
  session.receive(optionFrame(option.startTls));
  assert.equal(optionAnswers(connection.taken())[0]?.kind, optionReply.ack);
  assert.equal(started, 1);
  session.receive(goFrame('volume'));
  assert.equal(connection.taken().length, 0);
});

test('plain bytes behind STARTTLS end the connection: they would pass for protected ones', () => {
  let started = 0;
  const onStartTls = () => {
    started += 1;
  };
  const { session, connection } = haggling({ tls: 'required', onStartTls });
  session.receive(packFields([optionFrame(option.startTls), goFrame('volume')]));
  assert.equal(connection.closed, true);
  assert.equal(started, 0);
});

test('under TLS the negotiation goes on without a greeting', () => {
  const { session, connection } = begin({ tls: 'active', clientFlags: 3 });
  assert.equal(connection.taken().length, 0);
  session.receive(optionFrame(option.startTls));
  assert.equal(optionAnswers(connection.taken())[0]?.kind, optionReply.errorInvalid);
  session.receive(goFrame('volume'));
  assert.equal(session.transmitting, true);
});

test('an option in single bytes is one option', () => {
  const { session } = haggling();
  for (const byte of goFrame('volume')) session.receive(Uint8Array.of(byte));
  assert.equal(session.transmitting, true);
});
