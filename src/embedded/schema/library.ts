// What the server asks of schemas, in one object.
import type { SchemaLibrary } from './api.ts';
import { BuiltInSchemas } from './builtin/resources.ts';
import { RuleCompiler } from './cel/rules.ts';
import { readDefinition } from './definition.ts';
import { compileJsonPath } from './jsonpath.ts';
import { jsonPatch, mergePatch } from './patches.ts';

export function createSchemaLibrary(): SchemaLibrary {
  const schemas = new BuiltInSchemas();
  const rules = new RuleCompiler();
  const builtIns = schemas.resources();
  return {
    builtIns: () => builtIns,
    ofDefinition: (crd) =>
      readDefinition(crd, { metadata: schemas.node('meta.ObjectMeta'), rules }),
    jsonPatch,
    mergePatch,
    openApiV3: () => ({ openapi: '3.0.0', paths: {}, components: { schemas: {} } }),
    openApiV2: () => ({ swagger: '2.0', paths: {}, definitions: {} }),
    jsonPath: compileJsonPath,
  };
}
