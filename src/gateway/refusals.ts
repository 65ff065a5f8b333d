/** What a dispatcher refuses, in one place: what the client is told, and what is counted. */
import { UserError } from '../base/errors.ts';
import type { Counter, Metrics } from '../telemetry/metrics.ts';
import type { InvokeResult } from './platform.ts';

type Done = (result: InvokeResult) => void;

const ERRORS = {
  'queue-full': new UserError('TooManyRequestsException', 'Rate Exceeded.', 'ConcurrentInvocationLimitExceeded'),
  concurrency: new UserError(
    'TooManyRequestsException',
    'Rate Exceeded.',
    'ReservedFunctionConcurrentInvocationLimitExceeded',
  ),
  late: new UserError(
    'TooManyRequestsException',
    'Rate Exceeded. It waited too long for a core, and more requests came than the cores can serve.',
    'ConcurrentInvocationLimitExceeded',
  ),
  memory: new UserError('InvalidParameterValueException', 'The function asks for more memory than any worker has.'),
  cores: new UserError('InvalidParameterValueException', 'The function asks for more cores than any worker has.'),
  'provisioned-memory': new UserError(
    'TooManyRequestsException',
    'Rate Exceeded. The provisioned concurrency of other functions leaves it no memory.',
    'ConcurrentInvocationLimitExceeded',
  ),
  versions: new UserError(
    'TooManyRequestsException',
    'Too many function versions are in use at once.',
    'ConcurrentInvocationLimitExceeded',
  ),
  stopping: new UserError('ServiceUnavailableException', 'The platform is shutting down.'),
  scheduler: new UserError(
    'ServiceUnavailableException',
    'The scheduler of the cluster cannot be reached: the function was not run.',
  ),
} as const;

export type Refusal = keyof typeof ERRORS;

/** As perch_invocations_refused_total counts them. */
const COUNTED = {
  'queue-full': 'queue-full',
  concurrency: 'concurrency',
  late: 'late',
  memory: 'memory',
  cores: 'cores',
  'provisioned-memory': 'memory',
  versions: 'version',
  stopping: 'stopping',
  scheduler: 'scheduler',
} as const satisfies Record<Refusal, string>;

export class Refusals {
  readonly #metrics: Metrics;
  readonly #counters = new Map<string, Counter>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    for (const reason of Object.values(COUNTED)) this.#counter(reason);
  }

  /** Answers what `invoke` answers: there is nothing to withdraw. */
  refuse(done: Done, refusal: Refusal): () => void {
    this.#counter(COUNTED[refusal]).add();
    done({ kind: 'refused', error: ERRORS[refusal] });
    return nothing;
  }

  /** Its version cannot run here, or could not be started. */
  version(done: Done, error: UserError): () => void {
    this.#counter('version').add();
    done({ kind: 'refused', error });
    return nothing;
  }

  #counter(reason: string): Counter {
    let counter = this.#counters.get(reason);
    if (counter === undefined) {
      counter = this.#metrics.counter('perch_invocations_refused_total', reason);
      this.#counters.set(reason, counter);
    }
    return counter;
  }
}

/** The instance found that the payload is no JSON; not counted, as what the gateway itself finds is not. */
export function refuseBadPayload(done: Done, message: string): void {
  const text = `Could not parse request body into json: ${message}`;
  done({ kind: 'refused', error: new UserError('InvalidRequestContentException', text) });
}

function nothing(): void {}
