// Columns of volumes, claims and what provides them.
import type { JsonObject, PrinterColumn } from '../api.ts';
import { at, listAt, textAt } from '../json.ts';
import { accessModes, age, column, createdAt, flag, name, text, textOr, wide } from './cells.ts';

/** The phase, or that the object waits for somebody to let it go. */
function phase(object: JsonObject): string {
  const isLeaving = textAt(object, 'metadata', 'deletionTimestamp') !== undefined;
  return isLeaving ? 'Terminating' : (textAt(object, 'status', 'phase') ?? '');
}

const volumeMode = wide('VolumeMode', textOr('<unset>', 'spec', 'volumeMode'));
const storageClass = column('StorageClass', text('spec', 'storageClassName'));
const attributesClass = column(
  'VolumeAttributesClass',
  textOr('<unset>', 'spec', 'volumeAttributesClassName'),
);

/** Of a claim: what it has, so nothing while it has no volume. */
function whenBound(value: PrinterColumn['value']): (object: JsonObject) => string {
  return (object) => {
    const isBound = (textAt(object, 'spec', 'volumeName') ?? '') !== '';
    return isBound && typeof value === 'function' ? String(value(object, 0)) : '';
  };
}

export const storageColumns: Readonly<Record<string, readonly PrinterColumn[]>> = {
  'core.PersistentVolumeClaim': [
    name,
    column('Status', phase),
    column('Volume', text('spec', 'volumeName')),
    column('Capacity', whenBound(text('status', 'capacity', 'storage'))),
    column('Access Modes', whenBound(accessModes('status', 'accessModes'))),
    storageClass,
    attributesClass,
    age,
    volumeMode,
  ],
  'core.PersistentVolume': [
    name,
    column('Capacity', text('spec', 'capacity', 'storage')),
    column('Access Modes', accessModes('spec', 'accessModes')),
    column('Reclaim Policy', text('spec', 'persistentVolumeReclaimPolicy')),
    column('Status', phase),
    column('Claim', (object) => {
      const claim = at(object, 'spec', 'claimRef');
      if (claim === undefined) return '';
      return `${textAt(claim, 'namespace') ?? ''}/${textAt(claim, 'name') ?? ''}`;
    }),
    storageClass,
    attributesClass,
    column('Reason', text('status', 'reason')),
    age,
    volumeMode,
  ],
  'storage.StorageClass': [
    {
      ...name,
      value: (object) => {
        const key = 'storageclass.kubernetes.io/is-default-class';
        const isDefault = textAt(object, 'metadata', 'annotations', key) === 'true';
        return `${textAt(object, 'metadata', 'name') ?? ''}${isDefault ? ' (default)' : ''}`;
      },
    },
    column('Provisioner', text('provisioner')),
    column('ReclaimPolicy', text('reclaimPolicy')),
    column('VolumeBindingMode', text('volumeBindingMode')),
    column('AllowVolumeExpansion', flag('allowVolumeExpansion')),
    age,
  ],
  'storage.CSIDriver': [
    name,
    column('AttachRequired', flag('spec', 'attachRequired'), 'boolean'),
    column('PodInfoOnMount', flag('spec', 'podInfoOnMount'), 'boolean'),
    column('StorageCapacity', flag('spec', 'storageCapacity'), 'boolean'),
    column('TokenRequests', (object) => {
      const requests = listAt(object, 'spec', 'tokenRequests');
      const audiences = requests.map((request) => textAt(request, 'audience') ?? '');
      return audiences.length === 0 ? '<unset>' : audiences.join(',');
    }),
    column('RequiresRepublish', flag('spec', 'requiresRepublish'), 'boolean'),
    column('Modes', (object) => {
      const lifecycle = listAt(object, 'spec', 'volumeLifecycleModes').map(String);
      return lifecycle.length === 0 ? '<none>' : lifecycle.join(',');
    }),
    age,
  ],
  'storage.CSINode': [
    name,
    column('Drivers', (object) => listAt(object, 'spec', 'drivers').length, 'integer'),
    age,
  ],
  'storage.CSIStorageCapacity': [name, createdAt],
  'storage.VolumeAttachment': [
    name,
    column('Attacher', text('spec', 'attacher')),
    column('PV', text('spec', 'source', 'persistentVolumeName')),
    column('Node', text('spec', 'nodeName')),
    column('Attached', flag('status', 'attached'), 'boolean'),
    age,
  ],
  'storage.VolumeAttributesClass': [name, column('DriverName', text('driverName')), age],
};
