/** What is invoked when, and what was seen of it: the plain data between the benchmark and its load generator (load-process.ts). */
export interface PlannedInvocation {
  /** From the start of the round. */
  readonly atUs: number;
  /** CPU time that its handler burns. */
  readonly demandUs: number;
}

export interface LoadInput {
  readonly port: number;
  readonly path: string;
  readonly plan: readonly PlannedInvocation[];
}

export interface SeenInvocation {
  /** When it was sent indeed, from the start of the round: a timer of Node is late. */
  readonly sentUs: number;
  readonly demandUs: number;
  /** From sending until the last byte of the answer. */
  readonly latencyUs: number;
  readonly core: number;
  /** As the platform says: until its core was granted, until the instance was told, until it had answered. */
  readonly queuedUs: number;
  readonly startUs: number;
  readonly runUs: number;
  /** Of the handler, on the clock that all processes of the machine share. */
  readonly beganUs: number;
  readonly endedUs: number;
  /** CPU time that the handler had. */
  readonly usedUs: number;
}

/** Burns CPU time, not time: whatever else runs on the core makes it take longer and not do less. */
export const BURN_SOURCE = `
const nowUs = () => Number(process.hrtime.bigint()) / 1000;
// Of the whole process: its other threads are on the core too, and a thread's own count is only brought up to date now and then.
const usedUs = () => { const { user, system } = process.cpuUsage(); return user + system; };
let x = 1;
export const handler = async ({ demandUs }) => {
  const beganUs = nowUs();
  const before = usedUs();
  let used = 0;
  while ((used = usedUs() - before) < demandUs) for (let i = 0; i < 2000; i++) x = (x * 1103515245 + 12345) & 0x7fffffff;
  return { beganUs, usedUs: used, endedUs: nowUs() };
};`;
