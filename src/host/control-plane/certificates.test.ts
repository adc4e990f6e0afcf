import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAuthority, issueCertificate } from './certificates.ts';

const nowMs = Date.now();
const validMs = 24 * 3600 * 1000;
const authority = { commonName: 'east-ca', ...createAuthority('east-ca', nowMs) };
const server = issueCertificate(authority, {
  commonName: 'kube-apiserver',
  use: 'server',
  hosts: ['127.0.0.1', 'localhost', '::1', 'fd00::1:2'],
  nowMs,
  validMs,
});
const client = issueCertificate(authority, {
  commonName: 'robot',
  organizations: ['system:masters', 'west'],
  use: 'client',
  nowMs,
  validMs,
});

test('certificates say who and what for, and the authority signed them', () => {
  const ca = new X509Certificate(authority.certificate);
  const ofServer = new X509Certificate(server.certificate);
  const ofClient = new X509Certificate(client.certificate);
  assert(ca.ca && !ofServer.ca && !ofClient.ca);
  assert(ofServer.verify(ca.publicKey) && ofClient.verify(ca.publicKey));
  assert.equal(ofServer.checkHost('localhost'), 'localhost');
  for (const address of ['127.0.0.1', '::1', 'fd00::1:2']) {
    assert.equal(ofServer.checkIP(address), address);
  }
  assert.equal(ofServer.checkIP('127.0.0.2'), undefined);
  assert.equal(ofClient.subject, 'O=system:masters\nO=west\nCN=robot');
  assert(Date.parse(ofClient.validFrom) < nowMs);
  assert.equal(Date.parse(ofClient.validTo), Math.floor((nowMs + validMs) / 1000) * 1000);
});

const openssl = spawnSync('openssl', ['version']).status === 0;

test('openssl takes each for its purpose and for no other', { skip: !openssl }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'transship-certificates-'));
  try {
    const path = (name: string): string => join(directory, name);
    const other = createAuthority('east-ca', nowMs);
    writeFileSync(path('ca'), authority.certificate);
    writeFileSync(path('other'), other.certificate);
    writeFileSync(path('server'), server.certificate);
    writeFileSync(path('client'), client.certificate);
    const accepts = (ca: string, purpose: string, name: string): boolean => {
      const flags = ['-x509_strict', '-purpose', purpose, '-CAfile', path(ca)];
      return spawnSync('openssl', ['verify', ...flags, path(name)]).status === 0;
    };
    assert(accepts('ca', 'sslserver', 'server'));
    assert(accepts('ca', 'sslclient', 'client'));
    assert(!accepts('ca', 'sslclient', 'server'));
    assert(!accepts('ca', 'sslserver', 'client'));
    assert(!accepts('other', 'sslserver', 'server'));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
