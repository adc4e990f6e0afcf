/** Schemas that are compiled once for all schedules of a process. */
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';

export function rememberingLibrary(): SchemaLibrary {
  const library = createSchemaLibrary();
  const known = new Map<string, ReturnType<SchemaLibrary['ofDefinition']>>();
  return {
    ...library,
    ofDefinition: (definition) => {
      const { name } = definition['metadata'] as { readonly name: string };
      const key = `${name} ${JSON.stringify(definition['spec'])}`;
      const found = known.get(key) ?? library.ofDefinition(definition);
      known.set(key, found);
      return found;
    },
  };
}
