// What the server asks of schemas, in one object.
import type { SchemaLibrary } from './api.ts';
import { BuiltInSchemas } from './builtin/resources.ts';
import { RuleCompiler } from './cel/rules.ts';
import { readDefinition } from './definition.ts';
import { compileJsonPath } from './jsonpath.ts';
import { openApiV2, openApiV3, type SchemaNames } from './openapi.ts';
import { jsonPatch, mergePatch } from './patches.ts';

export function createSchemaLibrary(): SchemaLibrary {
  const schemas = new BuiltInSchemas();
  const rules = new RuleCompiler();
  const builtIns = schemas.resources();
  const names: SchemaNames = {
    nameOf: ({ group, version, kind, builtIn }) => {
      const known = builtIn ? schemas.nameOf(group, version, kind) : undefined;
      return known ?? `${group.split('.').reverse().join('.')}.${version}.${kind}`;
    },
    resolve: (name) => schemas.notation.resolve(name),
  };
  return {
    builtIns: () => builtIns,
    ofDefinition: (crd) =>
      readDefinition(crd, { metadata: schemas.node('meta.ObjectMeta'), rules }),
    jsonPatch,
    mergePatch,
    openApiV3: (resources) => openApiV3(resources, names),
    openApiV2: (resources) => openApiV2(resources, names),
    jsonPath: compileJsonPath,
  };
}
