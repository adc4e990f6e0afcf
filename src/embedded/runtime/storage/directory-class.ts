/**
 * The class `directory`: storage that is not the engine's, as clusters elsewhere have it. Claims of
 * it are directories of the machine, so that moves by files have something real to move.
 */
import { apiVersionOf } from '../../../kube/objects.ts';
import { type StorageClass, storageClasses } from '../../../kube/resources.ts';

export const directoryClassName = 'directory';
export const directoryProvisioner = 'directory.transship.dev';

const description =
  'A directory of the node, or with volumeMode Block a sparse file behind a loop device. ' +
  'The capacity of a directory is what was asked for and is not enforced. It cannot grow, ' +
  'and the data stays on its node.';

/**
 * Installed beside the default class; never the default itself. A claim waits for its first pod,
 * as nearly all node-local storage does, because the pod's node decides where the data lies.
 */
export function directoryClass(): StorageClass {
  return {
    apiVersion: apiVersionOf(storageClasses),
    kind: storageClasses.kind,
    metadata: {
      name: directoryClassName,
      annotations: { 'kubernetes.io/description': description },
    },
    provisioner: directoryProvisioner,
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'WaitForFirstConsumer',
    allowVolumeExpansion: false,
  };
}
