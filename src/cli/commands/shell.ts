import type { Command } from 'commander';
import { apiVersion } from '../../api/objects.ts';
import { fail } from '../../base/errors.ts';
import { add, option, type Registry } from '../command.ts';
import { completionScript, shells } from '../completion.ts';

interface DemoFlags {
  readonly keep?: boolean;
  readonly unprivileged?: boolean;
}

/** demo, completion, version. */
export function shellCommands(registry: Registry, program: Command): void {
  add<DemoFlags>(registry, program, {
    name: 'demo',
    about: 'the story, end to end, on this machine: every claim it prints is checked',
    options: [
      option('--keep', 'then leave the clusters to look around in, until Ctrl-C'),
      option('--unprivileged', 'mount nothing, also where that is possible'),
    ],
    run: async (cli, _args, { keep, unprivileged }) =>
      cli.ports.runDemo({ keep: keep === true, unprivileged: unprivileged === true }),
  });
  completion(registry, program);
  add<Record<string, never>>(registry, program, {
    name: 'version',
    about: 'the version of this program',
    run: async (cli) => {
      if (cli.options.output === undefined) return cli.out(`transship ${cli.ports.version}\n`);
      const metadata = { name: cli.ports.version };
      return cli.print({ kind: 'Version', apiVersion, metadata });
    },
  });
}

function completion(registry: Registry, program: Command): void {
  add<Record<string, never>>(registry, program, {
    name: 'completion',
    about: 'the completion script of a shell',
    args: [['<shell>', shells.join(', '), 'shell']],
    examples: [
      ['source <(transship completion bash)', 'in ~/.bashrc; bash'],
      ['transship completion zsh > "${fpath[1]}/_transship"', 'zsh'],
      ['transship completion fish > ~/.config/fish/completions/transship.fish', 'fish'],
    ],
    run: async (cli, [shell]) => {
      const script = completionScript(shell!);
      if (script === undefined) {
        fail('BadArgument', `no completion for ${shell}; there is one for ${shells.join(', ')}`);
      }
      cli.out(script);
    },
  });
}
