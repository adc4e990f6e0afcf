// Built-in kinds as served resources.
import type { ObjectSchema, OpenApiSchema, ServedResource } from '../api.ts';
import { NodeCompiler, type SchemaNode } from '../node.ts';
import { createObjectSchema } from '../object-schema.ts';
import { columnsOf } from './columns.ts';
import { completionOf } from './defaults.ts';
import data from './data.json' with { type: 'json' };
import { type BuiltInKind, builtInKinds } from './kinds.ts';
import { Notation } from './notation.ts';
import { validationOf } from './validate.ts';

/** Schemas of built-in kinds, compiled when they are asked for. */
export class BuiltInSchemas {
  readonly notation = new Notation(data);
  readonly #compiler = new NodeCompiler({
    resolve: (name) => this.notation.resolve(name),
    builtIn: true,
  });

  node(name: string): SchemaNode {
    return this.#compiler.named(this.notation.fullName(name));
  }

  openApi(name: string): OpenApiSchema {
    return this.notation.resolve(this.notation.fullName(name));
  }

  /** The full name of the schema of a built-in kind. */
  nameOf(group: string, version: string, kind: string): string | undefined {
    const found = builtInKinds.find(
      (one) => one.kind === kind && one.group === group && one.version === version,
    );
    return found === undefined ? undefined : this.notation.fullName(found.name);
  }

  resources(): readonly ServedResource[] {
    return builtInKinds.map((kind) => this.#resource(kind));
  }

  #schema({ name, status }: BuiltInKind): ObjectSchema {
    const complete = completionOf(name);
    const validate = validationOf(name);
    return createObjectSchema({
      node: this.node(name),
      hasStatus: status,
      ...(name === 'core.Namespace' ? { unowned: [['spec', 'finalizers']] } : {}),
      ...(complete === undefined ? {} : { complete }),
      ...(validate === undefined ? {} : { validate }),
    });
  }

  #resource(kind: BuiltInKind): ServedResource {
    return {
      group: kind.group,
      version: kind.version,
      plural: kind.plural,
      singular: kind.plural === 'endpoints' ? kind.plural : kind.kind.toLowerCase(),
      kind: kind.kind,
      listKind: `${kind.kind}List`,
      shortNames: kind.shortNames,
      categories: kind.categories,
      namespaced: kind.namespaced,
      // events.k8s.io Events are kept as core Events.
      storage: kind.group !== 'events.k8s.io',
      subresources: {
        status: kind.status,
        ...(kind.scale ? { scale: scalePaths } : {}),
      },
      columns: columnsOf(kind.name),
      schema: this.#schema(kind),
      openApi: this.openApi(kind.name),
      selectable: selectable[kind.name] ?? [],
      builtIn: true,
    };
  }
}

const scalePaths = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.spec.selector',
};

const eventFields = [
  'involvedObject.kind',
  'involvedObject.namespace',
  'involvedObject.name',
  'involvedObject.uid',
  'involvedObject.apiVersion',
  'involvedObject.resourceVersion',
  'involvedObject.fieldPath',
  'reason',
  'reportingComponent',
  'source',
  'type',
];

const selectable: Readonly<Record<string, readonly string[]>> = {
  'core.Pod': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  'core.Node': ['spec.unschedulable'],
  'core.Namespace': ['status.phase'],
  'core.Secret': ['type'],
  'core.Event': eventFields,
  'events.Event': [
    'regarding.kind',
    'regarding.namespace',
    'regarding.name',
    'regarding.uid',
    'regarding.apiVersion',
    'regarding.resourceVersion',
    'regarding.fieldPath',
    'reason',
    'reportingController',
    'type',
  ],
  'core.ReplicationController': ['status.replicas'],
  'core.Service': ['spec.clusterIP', 'spec.type'],
  'apps.ReplicaSet': ['status.replicas'],
  'batch.Job': ['status.successful'],
};
