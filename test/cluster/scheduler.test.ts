/** A real scheduler process with one shard. */
import { testScheduler } from './scheduler-cases.ts';

testScheduler(1);
