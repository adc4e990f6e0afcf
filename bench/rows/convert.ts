/** Images copied into a volume by the tools people have: nbdcopy and qemu-img. */
import { join } from 'node:path';
import { makeSparse, serveNbdkit } from '../nbd-peers.ts';
import type { Bench, Measured, Section } from '../row.ts';
import { interleave, ratios } from '../stats.ts';

async function run(bench: Bench): Promise<Measured[]> {
  const { programs, directory, fleet } = bench;
  const image = await bench.images.first();
  const agent = await fleet.start('convert');
  const intoUs = async (copy: (uri: string) => Promise<number>, name: string) => {
    await agent.client.call('volume.create', { name, sizeBytes: image.sizeBytes });
    const seconds = await copy(agent.uri(name));
    await agent.settled(name);
    await agent.client.call('volume.delete', { name });
    return seconds;
  };
  const intoNbdkit = async (copy: (uri: string) => Promise<number>, name: string) => {
    const file = join(directory, `${name}.raw`);
    makeSparse(file, image.sizeBytes);
    const server = await serveNbdkit(programs, directory, file);
    const seconds = await copy(server.uri);
    await server.stop();
    return seconds;
  };
  const nbdcopy = async (uri: string) =>
    (await programs.run('nbdcopy', ['--flush', image.path, uri])).seconds;
  const qemu = async (uri: string) => {
    const args = ['convert', '-n', '-f', 'raw', '-O', 'raw', image.path, uri];
    return (await programs.run('qemu-img', args)).seconds;
  };
  const rows: Measured[] = [];
  for (const [row, copy] of [
    ['nbdcopy', nbdcopy],
    ['qemu-img', qemu],
  ] as const) {
    const results = await interleave(bench.rounds('dear'), {
      transship: (round) => intoUs(copy, `${row}-${round}`),
      nbdkit: (round) => intoNbdkit(copy, `${row}-${round}`),
    });
    rows.push({
      row,
      ours: { name: 'into transship', unit: 's', values: results.transship },
      peers: [{ name: 'into nbdkit', unit: 's', values: results.nbdkit }],
      checks: [
        {
          what: 'time to nbdkit',
          values: ratios(results.transship, results.nbdkit),
        },
      ],
    });
  }
  await agent.remove();
  return rows;
}

export const convertSection: Section = {
  name: 'convert',
  rows: ['nbdcopy', 'qemu-img'],
  needs: ['nbdcopy', 'qemu-img', 'nbdkit', 'mkfs.ext4'],
  run,
};
