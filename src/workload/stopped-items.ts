/** Pods that were deleted to stop them: no inventory sees them, and they move all the same. */
import { imagesOf } from './images.ts';
import type { Item } from './inventory.ts';
import { referencesOf } from './references.ts';
import { createChooser, type Selection } from './selection.ts';
import type { UndoRecord } from './undo.ts';

/** As items of an inventory. `BadArgument` for a selection that is none. */
export function itemsOfStopped(
  records: readonly UndoRecord[],
  selection: Selection = {},
): readonly Item[] {
  const choose = createChooser(selection);
  return records.flatMap(({ type, name, uid, object }) => {
    if (object === undefined || choose(type, object) !== undefined) return [];
    const { labels = {}, ownerReferences: owners = [] } = object.metadata;
    const references = referencesOf(object);
    return [{ type, name, uid, labels, references, images: imagesOf(object), owners }];
  });
}
