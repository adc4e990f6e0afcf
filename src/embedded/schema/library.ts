// What the server asks of schemas, in one object.
import type { SchemaLibrary } from './api.ts';
import { BuiltInSchemas } from './builtin/resources.ts';
import { readDefinition } from './definition.ts';
import { compileJsonPath } from './jsonpath.ts';
import { jsonPatch, mergePatch } from './patches.ts';

export function createSchemaLibrary(): SchemaLibrary {
  const schemas = new BuiltInSchemas();
  const builtIns = schemas.resources();
  return {
    builtIns: () => builtIns,
    ofDefinition: (crd) => readDefinition(crd, schemas.node('meta.ObjectMeta')),
    jsonPatch,
    mergePatch,
    openApiV3: () => ({ openapi: '3.0.0', paths: {}, components: { schemas: {} } }),
    openApiV2: () => ({ swagger: '2.0', paths: {}, definitions: {} }),
    jsonPath: compileJsonPath,
  };
}
