/** The same with two shards. */
import { testScheduler } from './scheduler-cases.ts';

testScheduler(2);
