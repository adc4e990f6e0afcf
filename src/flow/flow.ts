/** What the controller of migrations asks of this folder. */
export {
  backup,
  backupEnded,
  endings,
  itineraries,
  replicated,
  replication,
  restoring,
} from './itineraries.ts';
export { checkItinerary } from './invariants.ts';
export { type Itinerary, type Journey, type Route, routeOf } from './itinerary.ts';
export { type Advance, type FlowPorts, type Orders, type Outcome, Runner } from './runner.ts';
export {
  beginState,
  type ItineraryState,
  percentOf,
  retryState,
  stepAtHand,
  type StepState,
} from './state.ts';
export type { Blocked, Broken, Going, Observation, Step, Undoing } from './step.ts';
