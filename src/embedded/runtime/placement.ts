/** Which node may take a pod (Kubernetes documentation, "Assigning Pods to Nodes"). */
import type { NodeRequirement, NodeSelector, Node, Taint } from '../../kube/resources.ts';
import type { PodSpec, Toleration } from '../../kube/pod-spec.ts';

/** Why a node may not take the pod; undefined when it may. */
export function refusal(spec: PodSpec, node: Node): string | undefined {
  const labels = node.metadata.labels ?? {};
  const selector = Object.entries(spec.nodeSelector ?? {});
  const affinity = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const isSelected = selector.every(([name, value]) => labels[name] === value);
  if (!isSelected || !matchesNode(affinity, node)) {
    return "didn't match Pod's node affinity/selector";
  }
  const taint = untolerated(spec.tolerations ?? [], node);
  if (taint === undefined) return undefined;
  if (taint.key === unschedulable.key) return 'were unschedulable';
  return `had untolerated taint(s) {${taint.key}: ${taint.value ?? ''}}`;
}

const unschedulable: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

function untolerated(tolerations: readonly Toleration[], node: Node): Taint | undefined {
  const cordoned = node.spec?.unschedulable === true ? [unschedulable] : [];
  const taints = [...cordoned, ...(node.spec?.taints ?? [])];
  return taints.find(
    (taint) =>
      (taint.effect === 'NoSchedule' || taint.effect === 'NoExecute') &&
      !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
}

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  const { key = '', operator = 'Equal', value = '', effect = '' } = toleration;
  if (effect !== '' && effect !== taint.effect) return false;
  if (key === '') return operator === 'Exists';
  if (key !== taint.key) return false;
  return operator === 'Exists' || value === (taint.value ?? '');
}

/** Does any term match? Without a selector every node does; a term of nothing matches none. */
export function matchesNode(selector: NodeSelector | undefined, node: Node): boolean {
  if (selector === undefined) return true;
  const { labels = {}, name = '' } = node.metadata;
  return selector.nodeSelectorTerms.some((term) => {
    const { matchExpressions = [], matchFields = [] } = term;
    if (matchExpressions.length + matchFields.length === 0) return false;
    const isNamed = matchFields.every((one) => one.key === 'metadata.name' && meets(one, name));
    return isNamed && matchExpressions.every((one) => meets(one, labels[one.key]));
  });
}

function meets({ operator, values = [] }: NodeRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
