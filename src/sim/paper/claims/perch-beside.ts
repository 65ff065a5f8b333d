/** `perch` beside rivals at all loads, everything warm: what the claims about who decides and about what is assigned have in common. */
import { warm } from '../costs.ts';
import type { Grid, Named } from '../grid.ts';
import { AZURE, BIMODAL, EXPONENTIAL } from '../workloads.ts';

export const PERCH: Named = { name: 'perch', spec: 'perch' };

export function perchBeside(rivals: readonly Named[]): Grid {
  return {
    policies: [PERCH, ...rivals],
    workloads: [EXPONENTIAL, BIMODAL, AZURE],
    loads: [0.5, 0.7, 0.8, 0.9, 0.95],
    servers: 20,
    cores: 32,
    costs: ({ costs }) => warm(costs),
    seedCount: 5,
  };
}
