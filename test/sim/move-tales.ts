/** Stories that are interrupted everywhere: each kind of migration, and each kind of work. */
import type { Chapter, Story } from './move-story.ts';

export type Tale = Omit<Story, 'trouble'>;

const go: Chapter = { name: 'go', spec: { type: 'Cutover' }, inCase: 'retry' };
const back: Chapter = { name: 'back', spec: { type: 'Rollback' }, inCase: 'retry' };
const bare: Chapter = { ...back, spec: { type: 'Rollback', keepData: false } };
const conversion: Story['plan'] = {
  destination: 'east',
  type: 'StorageConversion',
  volumes: [{ namespace: 'shop', claim: 'data-db-0', storageClass: 'directory' }],
};

/** The last migration of each is the one that is interrupted. */
export const storyBook: Readonly<Record<string, Tale>> = {
  stage: { plan: {}, chapters: [{ name: 'stage', spec: { type: 'Stage' }, inCase: 'retry' }] },
  cutover: { plan: {}, chapters: [go] },
  canceled: { plan: {}, chapters: [{ ...go, cancelAt: 'go/makeObjects' }] },
  back: { plan: {}, chapters: [go, back] },
  backWithoutData: { plan: {}, chapters: [go, bare] },
  conversion: { plan: conversion, chapters: [go] },
  conversionBack: { plan: conversion, chapters: [go, back] },
  rehearsal: {
    plan: {},
    chapters: [{ name: 'try', spec: { type: 'Rehearsal' }, inCase: 'retry' }],
  },
};
