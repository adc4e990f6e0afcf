/** What is built, where it is kept: go.mod is the only place that names a version. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Every program that can be had, with the Go package it is built from. */
export const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  kubelet: 'k8s.io/kubernetes/cmd/kubelet',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
} as const;

export type Program = keyof typeof packages;

export const programs = Object.keys(packages) as readonly Program[];

export function isProgram(name: string): name is Program {
  return Object.hasOwn(packages, name);
}

export interface Pins {
  /** As `v1.36.3`. */
  readonly kubernetes: string;
  readonly etcd: string;
}

export interface Platform {
  /** Go's names: `linux`, `darwin`; `amd64`, `arm64`. */
  readonly os: string;
  readonly arch: string;
}

const archNames: Readonly<Record<string, string>> = { x64: 'amd64', arm: 'arm', ia32: '386' };

export function thisPlatform(): Platform {
  return { os: process.platform, arch: archNames[process.arch] ?? process.arch };
}

export const moduleDirectory = import.meta.dirname;

export function readPins(goMod = readFileSync(join(moduleDirectory, 'go.mod'), 'utf8')): Pins {
  const versionOf = (module: string): string => {
    const line = goMod.split('\n').find((one) => one.trim().startsWith(`${module} v`));
    const version = line?.trim().split(/\s+/)[1];
    if (version === undefined) throw new Error(`go.mod requires no ${module}`);
    return version;
  };
  return {
    kubernetes: versionOf('k8s.io/kubernetes'),
    etcd: versionOf('go.etcd.io/etcd/server/v3'),
  };
}

/** Named after Kubernetes alone: etcd is the version that Kubernetes itself requires. */
export function cacheDirectory(
  pins: Pins,
  platform: Platform,
  env: NodeJS.ProcessEnv = process.env,
): string {
  const cache = env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const name = `${pins.kubernetes}-${platform.os}-${platform.arch}`;
  return join(cache, 'transship/kubernetes', name);
}
