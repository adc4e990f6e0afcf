// Short texts of our own for `kubectl explain`: of kinds, and of fields that many of them have.

const kinds: Readonly<Record<string, string>> = {
  'core.Pod': 'Containers that run together on one node.',
};

const fields: Readonly<Record<string, string>> = {
  apiVersion: 'Group and version of the schema this object is written in.',
  kind: 'The kind of this object.',
  metadata: 'Name, labels, annotations and what the server keeps about the object.',
  spec: 'What is wanted.',
  status: 'What was observed last.',
};

/** Of `core.Pod`, or of one of its fields. */
export function descriptionOf(name: string, field: string | undefined): string | undefined {
  if (field === undefined) return kinds[name];
  return fields[`${name}.${field}`] ?? fields[field];
}
