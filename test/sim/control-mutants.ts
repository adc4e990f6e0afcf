/** Control planes that are broken on purpose, by a wrapper around one of their doors. */
import type { ControlMutation } from './control-mutation.ts';

export interface ControlMutant {
  readonly promise: string;
  readonly mutation: ControlMutation;
}

export const controlMutants: Readonly<Record<string, ControlMutant>> = {};
