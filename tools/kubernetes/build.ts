// Makes sure that programs of a real Kubernetes are there and prints their directory:
//   node tools/kubernetes/build.ts                    etcd, kube-apiserver, kube-controller-manager
//   node tools/kubernetes/build.ts kubelet kubectl    these
// Ends with 3 and the reason if they cannot be had here.
import { controlPlanePrograms, ensureBinaries } from './binaries.ts';
import { isProgram, programs } from './pins.ts';

async function main(args: readonly string[]): Promise<void> {
  const unknown = args.filter((arg) => !isProgram(arg));
  if (unknown.length > 0) {
    console.error(`there is no ${unknown.join(', ')}; there are ${programs.join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const names = args.length > 0 ? args.filter(isProgram) : controlPlanePrograms;
  const binaries = await ensureBinaries(names);
  if (binaries.available) {
    console.log(binaries.directory);
    return;
  }
  console.error(`not available: ${binaries.reason}`);
  process.exitCode = 3;
}

await main(process.argv.slice(2));
