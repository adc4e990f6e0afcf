// What checks find.
import type { FieldError, Json } from './api.ts';

/** Errors of one object that are told; more help nobody. */
const errorsMax = 100;

export type Check = (value: Json, path: string, report: Report) => void;

export class Report {
  readonly errors: FieldError[] = [];

  add(error: FieldError): void {
    if (this.errors.length < errorsMax) this.errors.push(error);
  }
}
