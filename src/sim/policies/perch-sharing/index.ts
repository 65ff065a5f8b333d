/** Perch's own, with cores that are shared: beside the shipped scheduler machine the shipped sharing machine on each server. */
import type { SharingPolicy } from '../../../worker/machine/sharing.ts';
import { makePerch } from '../../perch/make.ts';
import { FLEET, LEND_AFTER, perCore, QUANTUM, QUEUE } from '../../perch/options.ts';
import { KIND_OPTIONS } from '../../perch/resident-kinds.ts';
import type { OptionSpecs, PolicyKind } from '../../policy.ts';

interface Words {
  readonly summary: string;
  readonly source: string;
}

function kind(sharing: SharingPolicy, words: Words, options: OptionSpecs): PolicyKind {
  return {
    name: `perch-${sharing}`,
    ...words,
    options: { queue: QUEUE, ...options, ...FLEET },
    make: (world, values) => makePerch({ sharing }, world, values),
  };
}

const SOCC21 = 'Tell me when you are sleepy and what may wake you up!, SoCC 2021';

export const perchSharing: readonly PolicyKind[] = [
  kind(
    'dedicated',
    {
      summary: 'each invocation has a core of its own, awake or asleep',
      source: 'Kaffes, Yadwadkar, Kozyrakis: Centralized Core-granular Scheduling for Serverless Functions, SoCC 2019',
    },
    {},
  ),
  kind(
    'lend',
    { summary: 'a core whose holder sleeps is lent, and is its holder’s again at once when it wakes', source: SOCC21 },
    { k: perCore('invocations for each core at most, while others sleep', 8), lendAfter: LEND_AFTER, ...KIND_OPTIONS },
  ),
  kind(
    'packed',
    { summary: 'k invocations for each core; who came first goes first', source: SOCC21 },
    { k: perCore('invocations for each core', 3), ...KIND_OPTIONS },
  ),
  kind(
    'preempt',
    {
      summary: 'who comes new goes before those that have run, which form one pool for each server',
      source: 'Nuyens, Wierman: The Foreground–Background queue: a survey, Performance Evaluation 2008',
    },
    { k: perCore('invocations for each core at most', 8), quantum: QUANTUM, ...KIND_OPTIONS },
  ),
  kind(
    'fair',
    { summary: 'k invocations for each core, and the kernel shares all cores of a server', source: SOCC21 },
    { k: perCore('invocations for each core', 3) },
  ),
];
