/** A label selector (`metav1.LabelSelector`), with bounds. */
import { Type } from 'typebox';
import { fields, list, optional, text, word } from './schema.ts';

const key = (description: string) => text(description, { min: 1, max: 317 });
const value = (description: string) => text(description, { max: 63 });

export const labelSelector = (description: string) =>
  fields(description, {
    matchLabels: optional(
      Type.Record(Type.String(), value('The value that the label must have.'), {
        description: 'Labels that must be there with these values.',
        maxProperties: 64,
      }),
    ),
    matchExpressions: optional(
      list(
        'Requirements that must all hold.',
        fields('One requirement on a label.', {
          key: key('The label.'),
          operator: word(['In', 'NotIn', 'Exists', 'DoesNotExist'], 'What is required of it.'),
          values: optional(
            list('The values that In and NotIn compare with.', value('One value.'), { max: 64 }),
          ),
        }),
        { max: 64 },
      ),
    ),
  });
