/** So many things are named in a sentence; more say nothing more to a person. */
const named = 6;

/** `a; b; and 7 more`. */
export function shortList(all: readonly string[]): string {
  const more = all.length - named;
  return `${all.slice(0, named).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
