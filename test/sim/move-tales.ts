/** Stories that are interrupted everywhere: each kind of migration, and each kind of work. */
import { allHooks } from './move-shop.ts';
import type { Chapter, Story } from './move-story.ts';

export interface Tale extends Omit<Story, 'trouble'> {
  /** Where its last migration is interrupted: where it does what no other tale does. */
  readonly places?: RegExp;
}

const go: Chapter = { name: 'go', spec: { type: 'Cutover' }, inCase: 'retry' };
const back: Chapter = { name: 'back', spec: { type: 'Rollback' }, inCase: 'retry' };
const bare: Chapter = { ...back, spec: { type: 'Rollback', keepData: false } };
const full: Story['plan'] = { images: 'Auto', hooks: allHooks };
const conversion: Story['plan'] = {
  destination: 'east',
  type: 'StorageConversion',
  volumes: [{ namespace: 'shop', claim: 'data-db-0', storageClass: 'directory' }],
};

/** Where a repeated replication does what the first run does not. */
const again =
  /\/(begin|chooseVolumes|copyLast|fillVolumes|findEdits|stopCopy|swapVolumes|startCopy|cleanUp)$/;

const takenBack = /\/(undo .*|removeTransfers|removeHelpers|proveAsBefore|over)$/;

const copied = /\/(copyAhead|copyLast|auditVolumes|swapClaims|startDestination|cleanUp)$/;

/** The last migration of each is the one that is interrupted. */
export const storyBook: Readonly<Record<string, Tale>> = {
  cutover: { plan: full, chapters: [go] },
  canceled: {
    plan: full,
    chapters: [{ ...go, cancelAt: 'go/makeObjects' }],
    places: takenBack,
  },
  teleport: { plan: {}, storage: 'Agents', chapters: [go], places: copied },
  teleportCanceled: {
    plan: {},
    storage: 'Agents',
    chapters: [{ ...go, cancelAt: 'go/makeObjects' }],
    places: takenBack,
  },
  teleportBack: { plan: {}, storage: 'Agents', chapters: [go, back] },
  back: { plan: {}, chapters: [go, back] },
  backWithoutData: { plan: {}, chapters: [go, bare] },
  conversion: {
    plan: conversion,
    chapters: [go],
    places: copied,
  },
  conversionCanceled: {
    plan: conversion,
    chapters: [{ ...go, cancelAt: 'go/swapClaims' }],
    places: takenBack,
  },
  conversionBack: { plan: conversion, chapters: [go, back] },
  stage: {
    plan: {},
    chapters: [{ name: 'stage', spec: { type: 'Stage' }, inCase: 'retry' }],
    places: /\/(begin|copyAhead|cleanUp|over)$/,
  },
  rehearsal: {
    plan: {},
    chapters: [{ name: 'try', spec: { type: 'Rehearsal' }, inCase: 'retry' }],
    places: /\/(makeNamespaces|copyLast|makeObjects|startDestination|cleanUp|over)$/,
  },
  replication: { plan: {}, chapters: [], copying: { spec: {}, acts: ['run'] } },
  replicationAgain: {
    plan: {},
    chapters: [],
    copying: { spec: {}, acts: ['run', 'run'] },
    places: again,
  },
  replicationTeleport: {
    plan: {},
    storage: 'Agents',
    chapters: [],
    copying: { spec: { workloads: 'Standby' }, acts: ['run', 'run'] },
    places: again,
  },
  replicationGone: { plan: {}, chapters: [], copying: { spec: {}, acts: ['run', 'delete'] } },
};
