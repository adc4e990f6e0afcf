/** Where the Prometheus operator finds the metrics of agents and controllers. */
import type { KubeObject } from '../../kube/objects.ts';
import { monitoringGroup } from '../installation.ts';
import { components, metricsPort, partOf, systemNamespace } from './names.ts';
import type { Values } from './values.ts';

/** Drivers and devices have none of their own. */
const measured = ['agent', 'controller'] as const;

/** For each a Service, which only names the pods, and the ServiceMonitor that reads it. */
export function monitors(values: Values): readonly KubeObject[] {
  return measured.flatMap((component) => {
    const labels = { ...partOf, ...components[component] };
    const place = { name: `transship-${component}-metrics`, namespace: systemNamespace };
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { ...place, labels },
      spec: {
        clusterIP: 'None',
        selector: labels,
        ports: [{ name: 'metrics', protocol: 'TCP', port: metricsPort, targetPort: metricsPort }],
      },
    };
    return [service, monitor(values, component)] as unknown as readonly KubeObject[];
  });
}

function monitor(values: Values, component: (typeof measured)[number]): object {
  const labels = { ...partOf, ...components[component] };
  const from = (name: string, targetLabel: string) => ({ sourceLabels: [name], targetLabel });
  return {
    apiVersion: `${monitoringGroup}/v1`,
    kind: 'ServiceMonitor',
    metadata: {
      name: `transship-${component}`,
      namespace: systemNamespace,
      labels: values.block('monitoring.serviceMonitor.labels'),
    },
    spec: {
      selector: { matchLabels: labels },
      endpoints: [
        {
          port: 'metrics',
          path: '/metrics',
          interval: values.text('monitoring.serviceMonitor.interval'),
          // What dashboards select by, and which of the agents it is.
          relabelings: [
            { targetLabel: 'cluster', replacement: values.text('clusterName') },
            from('__meta_kubernetes_pod_node_name', 'node'),
          ],
        },
      ],
    },
  };
}
