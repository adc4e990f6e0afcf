// TCP: TLS 1.3 with client certificates, and nothing without.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { test } from 'node:test';
import { createNbdServer, type NbdTls } from '../../../src/host/nbd-server.ts';
import { connectNbd } from '../../../src/host/nbd-client.ts';
import { silent, startMemoryNbd } from './memory.ts';
import { missing, must, run, scratch } from '../tools.ts';

interface Party {
  readonly certificate: string;
  readonly key: string;
}

async function authority(directory: string, name: string): Promise<string> {
  const base = join(directory, name);
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2';
  const files = `-subj /CN=${name} -keyout ${base}.key -out ${base}.pem`;
  await must('openssl', ...`${request} ${files}`.split(' '));
  return readFileSync(`${base}.pem`, 'utf8');
}

/** A certificate of `signer` for `name`, at 127.0.0.1. */
async function party(directory: string, signer: string, name: string): Promise<Party> {
  const base = join(directory, name);
  const request = `req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${name}`;
  await must('openssl', ...request.split(' '), '-keyout', `${base}.key`, '-out', `${base}.csr`);
  writeFileSync(`${base}.ext`, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const from = join(directory, signer);
  const sign = `x509 -req -days 2 -in ${base}.csr -CA ${from}.pem -CAkey ${from}.key`;
  await must('openssl', ...sign.split(' '), '-extfile', `${base}.ext`, '-out', `${base}.pem`);
  return {
    certificate: readFileSync(`${base}.pem`, 'utf8'),
    key: readFileSync(`${base}.key`, 'utf8'),
  };
}

interface Cloud {
  readonly directory: string;
  readonly server: NbdTls;
  readonly client: NbdTls;
  readonly stranger: NbdTls;
}

async function makeCloud(directory: string): Promise<Cloud> {
  const ca = await authority(directory, 'ca');
  await authority(directory, 'other');
  const server = { ...(await party(directory, 'ca', 'server')), authority: ca };
  const client = { ...(await party(directory, 'ca', 'client')), authority: ca };
  const stranger = { ...(await party(directory, 'other', 'stranger')), authority: ca };
  return { directory, server, client, stranger };
}

/** The files that qemu and libnbd look for. */
function certificateDirectory(cloud: Cloud, name: string): string {
  const directory = join(cloud.directory, `${name}-files`);
  mkdirSync(directory);
  copyFileSync(join(cloud.directory, 'ca.pem'), join(directory, 'ca-cert.pem'));
  copyFileSync(join(cloud.directory, `${name}.pem`), join(directory, 'client-cert.pem'));
  copyFileSync(join(cloud.directory, `${name}.key`), join(directory, 'client-key.pem'));
  return directory;
}

const skip = missing('openssl');

test('nbdinfo, qemu-img and our client come in with a certificate', { skip }, async (t) => {
  using directory = scratch();
  const cloud = await makeCloud(directory.path);
  const target = await startMemoryNbd({ tcp: { host: '127.0.0.1', port: 0, tls: cloud.server } });
  const port = target.tcpPort!;
  const files = certificateDirectory(cloud, 'client');
  try {
    await t.test('libnbd', { skip: missing('nbdinfo') }, async () => {
      const uri = `nbds://127.0.0.1:${port}/vol?tls-certificates=${files}`;
      const said = await must('nbdinfo', uri);
      assert.match(said, /with TLS/);
      await must('nbdcopy', uri, join(directory.path, 'copy'));
    });
    await t.test('qemu', { skip: missing('qemu-img') }, async () => {
      const credentials = `tls-creds-x509,id=t,endpoint=client,dir=${files}`;
      const image = `driver=nbd,host=127.0.0.1,port=${port},export=vol,tls-creds=t`;
      const words = ['--object', credentials, '--image-opts', image];
      assert.match(await must('qemu-img', 'info', ...words), /virtual size: 80 MiB/);
      const io = ['-c', 'write -P 3 100 1M', '-c', 'read -P 3 100 1M'];
      assert.doesNotMatch(await must('qemu-io', ...words, ...io), /failed/);
    });
    await t.test('ours', async () => {
      const tcp = { host: '127.0.0.1', port };
      const client = await connectNbd({ exportName: 'vol', tcp, tls: cloud.client });
      const content = Buffer.alloc(3_000_000, 'tls');
      await client.write(content, 5);
      const back = Buffer.alloc(content.length);
      await client.read(back, 5);
      assert.ok(back.equals(content));
      client.disconnect();
    });
  } finally {
    await target.close();
  }
});

test('without a certificate of the authority nothing is served', { skip }, async () => {
  using directory = scratch();
  const cloud = await makeCloud(directory.path);
  const target = await startMemoryNbd({ tcp: { host: '127.0.0.1', port: 0, tls: cloud.server } });
  const tcp = { host: '127.0.0.1', port: target.tcpPort! };
  try {
    await assert.rejects(connectNbd({ exportName: 'vol', tcp, tls: cloud.stranger }));
    await assert.rejects(connectNbd({ exportName: 'vol', tcp }), { reason: 'NotAllowed' });
    if (missing('nbdinfo') === false) {
      const plain = await run('nbdinfo', `nbd://127.0.0.1:${tcp.port}/vol`);
      assert.notEqual(plain.code, 0);
    }
    // TLS without the negotiation before it is not NBD.
    const raw = connect({ ...tcp, rejectUnauthorized: false });
    await new Promise((resolve) => raw.once('error', resolve).once('close', resolve));
    raw.destroy();
  } finally {
    await target.close();
  }
});

test('a server of another authority is not believed', { skip }, async () => {
  using directory = scratch();
  const cloud = await makeCloud(directory.path);
  const theirs = { ...cloud.stranger, authority: cloud.client.authority };
  const target = await startMemoryNbd({ tcp: { host: '127.0.0.1', port: 0, tls: theirs } });
  const tcp = { host: '127.0.0.1', port: target.tcpPort! };
  try {
    await assert.rejects(connectNbd({ exportName: 'vol', tcp, tls: cloud.client }), {
      reason: 'SourceUnreachable',
    });
  } finally {
    await target.close();
  }
});

test('TCP without TLS is refused', async () => {
  const exports = { find: () => undefined, list: () => [] };
  const tcp = { host: '127.0.0.1', port: 0 };
  await assert.rejects(createNbdServer({ tcp, exports, ...silent }), { reason: 'NotAllowed' });
});
