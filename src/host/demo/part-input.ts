/** A part ends when its input does: also when the demo was killed and can tell it nothing. */
export function inputEnded(): { readonly now: boolean } {
  const state = { now: false };
  const end = (): void => {
    state.now = true;
  };
  process.stdin.on('end', end).on('error', end).resume();
  process.on('SIGTERM', end);
  return state;
}
