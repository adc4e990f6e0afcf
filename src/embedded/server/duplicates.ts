/** Keys that a JSON object has twice: `JSON.parse` keeps the last and says nothing. */

/** Paths such as `data.x`, each once, of a text that is valid JSON. */
export function duplicateKeys(text: string): readonly string[] {
  const found = new Set<string>();
  let at = 0;

  const skipSpace = (): void => {
    while (/\s/.test(text[at] ?? 'x')) at += 1;
  };
  const readText = (): string => {
    const start = at;
    at += 1;
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    at += 1;
    return text.slice(start, at);
  };
  const readKey = (): string => {
    const raw = readText();
    return raw.includes('\\') ? String(JSON.parse(raw)) : raw.slice(1, -1);
  };

  function readObject(path: string): void {
    const keys = new Set<string>();
    at += 1;
    for (skipSpace(); at < text.length && text[at] !== '}'; skipSpace()) {
      if (text[at] === ',') {
        at += 1;
        continue;
      }
      const key = readKey();
      const place = path === '' ? key : `${path}.${key}`;
      if (keys.has(key)) found.add(place);
      keys.add(key);
      skipSpace();
      at += 1;
      readValue(place);
    }
    at += 1;
  }

  function readList(path: string): void {
    let index = 0;
    at += 1;
    for (skipSpace(); at < text.length && text[at] !== ']'; skipSpace()) {
      if (text[at] === ',') {
        at += 1;
        index += 1;
        continue;
      }
      readValue(`${path}[${index}]`);
    }
    at += 1;
  }

  function readValue(path: string): void {
    skipSpace();
    const first = text[at];
    if (first === '{') readObject(path);
    else if (first === '[') readList(path);
    else if (first === '"') readText();
    else while (at < text.length && !/[\s,\]}]/.test(text[at] ?? '')) at += 1;
  }

  readValue('');
  return [...found];
}
