import type { Command } from 'commander';
import { apiVersion } from '../../api/objects.ts';
import { fail } from '../../base/errors.ts';
import { add, type Registry } from '../command.ts';
import { completionScript, shells } from '../completion.ts';

/** demo, completion, version. */
export function shellCommands(registry: Registry, program: Command): void {
  add<Record<string, never>>(registry, program, {
    name: 'demo',
    about: 'the story, end to end, on this machine',
    args: [['[arguments...]', 'for the demo']],
    run: async (cli, args) => cli.ports.runDemo(args),
  }).allowUnknownOption();
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
