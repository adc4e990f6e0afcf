/** The editor of the person at the terminal, on a file that only they can read. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail } from '../base/errors.ts';
import type { EditedText, EditorDraft } from '../cli/ports.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What shells answer when there is no such program. */
const notFoundCode = 127;

/** As git and kubectl choose it. */
function editorOf(environment: Environment): string {
  const named = [environment['VISUAL'], environment['EDITOR']];
  return named.find((one) => one !== undefined && one.trim() !== '') ?? 'vi';
}

/**
 * Waits until the editor has ended. What was written stays in the file until `discard`, also when
 * this fails: `ToolMissing` when the shell finds no such editor, `Canceled` when it ends badly.
 */
export async function openEditor(
  draft: EditorDraft,
  environment: Environment,
): Promise<EditedText> {
  const directory = fs.mkdtempSync(join(tmpdir(), 'transship-'));
  const path = join(directory, draft.name);
  fs.writeFileSync(path, draft.text, { mode: 0o600 });
  const editor = editorOf(environment);
  const code = await run(editor, path);
  if (code === notFoundCode) {
    fs.rmSync(directory, { recursive: true, force: true });
    fail('ToolMissing', `there is no editor ${editor}: set EDITOR to the one that you use`);
  }
  if (code !== 0) fail('Canceled', `${editor} ended with ${code}; what it left is in ${path}`);
  return {
    text: fs.readFileSync(path, 'utf8'),
    path,
    discard: async () => fs.rmSync(directory, { recursive: true, force: true }),
  };
}

/** By the shell, because EDITOR may have arguments. Resolves with the exit code. */
async function run(editor: string, path: string): Promise<number> {
  // Ctrl-C is for the editor, as long as it has the terminal.
  const ignore = (): void => undefined;
  process.on('SIGINT', ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      const child = spawn('sh', ['-c', `${editor} "$1"`, 'sh', path], { stdio: 'inherit' });
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? 1));
    });
  } finally {
    process.off('SIGINT', ignore);
  }
}
