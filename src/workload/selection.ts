/** Which of the objects that make sense the user wants: as `resources` of a Plan. */
import { fail } from '../base/errors.ts';
import type { KubeObject, ResourceType } from '../kube/objects.ts';
import { fromLabelSelectorObject, type LabelSelector } from '../kube/selectors.ts';

export interface Selection {
  /** Only these, as PLURAL, PLURAL.GROUP, `*.GROUP` or `*`. Everything when not given. */
  readonly include?: readonly string[];
  /** None of these; stronger than `include`. */
  readonly exclude?: readonly string[];
  readonly labelSelector?: LabelSelector;
}

type Place = Pick<ResourceType, 'group' | 'plural'>;

/** Says why an object is not wanted; undefined when it is. */
export type Chooser = (type: Place, object: KubeObject) => string | undefined;

interface Pattern {
  readonly plural: string;
  /** Undefined: any group. */
  readonly group: string | undefined;
}

/** `pods` means the kind of that name in any group, as kubectl understands it. */
function parsePattern(text: string): Pattern {
  const [plural = '', ...group] = text.split('.');
  if (plural === '' || group.includes('')) {
    fail('BadArgument', `"${text}" selects no resources: use PLURAL, PLURAL.GROUP or *`);
  }
  return { plural, group: group.length === 0 ? undefined : group.join('.') };
}

function isMatch({ plural, group }: Pattern, type: Place): boolean {
  return (plural === '*' || plural === type.plural) && (group ?? type.group) === type.group;
}

/** `BadArgument` for a selection that is none. */
export function createChooser(selection: Selection): Chooser {
  const include = selection.include?.map(parsePattern);
  const exclude = (selection.exclude ?? []).map(parsePattern);
  const { labelSelector } = selection;
  const hasLabels =
    labelSelector === undefined ? () => true : fromLabelSelectorObject(labelSelector);
  return (type, object) => {
    if (exclude.some((one) => isMatch(one, type))) return 'the plan excludes this kind';
    if (include !== undefined && !include.some((one) => isMatch(one, type))) {
      return 'the plan does not include this kind';
    }
    return hasLabels(object.metadata.labels) ? undefined : 'its labels are not selected';
  };
}
