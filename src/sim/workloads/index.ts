/** All built-in workloads, in the order of the help text. */
import { azure2019 } from './azure-2019.ts';
import type { WorkloadKind } from './kind.ts';
import { SYNTHETIC } from './synthetic.ts';

export type { WorkloadKind } from './kind.ts';

export const WORKLOADS: readonly WorkloadKind[] = [...SYNTHETIC, azure2019];
