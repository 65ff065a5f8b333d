/**
 * What things cost that are no function's own work, in microseconds. `npm run bench -- calibrate` measures them on the real platform and
 * writes `calibration.json`; `free` is for theory, where nothing but the functions takes time.
 */
export interface Costs {
  /** One way between two hosts: gateway, scheduler, worker. */
  readonly networkUs: number;
  /** What a gateway does for an invocation before it asks for a core. */
  readonly gatewayUs: number;
  /** One decision of a central scheduler, all that it does for an invocation: it hears the request, grants a core, and hears that it is free. */
  readonly decisionUs: number;
  /** From the payload's arrival at the worker until the handler runs in a warm instance. The core is held. */
  readonly startUs: number;
  /** The same where no instance of the function is there, for one that does not say itself how long it takes. */
  readonly coldStartUs: number;
  /** From the handler's end until the core is free and the answer on its way. */
  readonly endUs: number;
  /** A core goes on with another invocation than before. */
  readonly switchUs: number;
  /** An invocation goes on at another server, beyond its way there. */
  readonly migrateUs: number;
  /** From the moment in which an invocation sleeps until the platform knows it. */
  readonly sleepSeenUs: number;
  /** The same of its waking. */
  readonly wakeSeenUs: number;
}

export const FREE: Costs = {
  networkUs: 0,
  gatewayUs: 0,
  decisionUs: 0,
  startUs: 0,
  coldStartUs: 0,
  endUs: 0,
  switchUs: 0,
  migrateUs: 0,
  sleepSeenUs: 0,
  wakeSeenUs: 0,
};

export const COST_NAMES: readonly (keyof Costs)[] = Object.keys(FREE) as (keyof Costs)[];
