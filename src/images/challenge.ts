/** What a registry asks for with a 401 (RFC 9110 section 11; "Token Authentication" of Docker). */

export type Challenge =
  | { readonly kind: 'basic' }
  | {
      readonly kind: 'bearer';
      readonly realm: string;
      readonly service: string | undefined;
      readonly scope: string | undefined;
    };

/** A Bearer challenge wins over Basic; undefined when neither is there. */
export function readChallenge(header: string): Challenge | undefined {
  const bearer = /(?:^|,)\s*bearer\s+/i.exec(header);
  if (bearer !== null) {
    const fields = parametersOf(header.slice(bearer.index + bearer[0].length));
    const realm = fields.get('realm');
    if (realm !== undefined) {
      return { kind: 'bearer', realm, service: fields.get('service'), scope: fields.get('scope') };
    }
  }
  return /(?:^|,)\s*basic(\s|$)/i.test(header) ? { kind: 'basic' } : undefined;
}

function parametersOf(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const pattern = /\s*,?\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;
  for (let one = pattern.exec(text); one !== null; one = pattern.exec(text)) {
    const [, name = '', quoted, plain = ''] = one;
    found.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain);
  }
  return found;
}
