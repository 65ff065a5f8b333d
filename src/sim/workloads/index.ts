/** All workloads, in the order of the help text. */
import { azure2019 } from './azure-2019.ts';
import type { WorkloadKind } from './kind.ts';
import { azure2019File } from './readers/azure-2019-file.ts';
import { azure2021File } from './readers/azure-2021-file.ts';
import { csv } from './readers/csv.ts';
import { SYNTHETIC } from './synthetic.ts';

export type { WorkloadKind } from './kind.ts';

export const WORKLOADS: readonly WorkloadKind[] = [...SYNTHETIC, azure2019, azure2019File, azure2021File, csv];
