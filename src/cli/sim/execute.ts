/** Carries a plan out: on all cores, with a bar on the terminal; ^C ends it, and what had ended until then is reported. */
import { setFlagsFromString } from 'node:v8';
import { realClock } from '../../base/clock.ts';
import { parsePolicy, type SimulationSpec } from '../../sim/spec.ts';
import { SCHEDULER_COMPILER_FLAGS } from '../../scheduler/server/compiler-flags.ts';
import { type Run, runBatch, sharesFor } from '../../sim/batch/batch.ts';
import type { Report } from '../../sim/report/report.ts';
import { summariesOf } from '../../sim/report/summary.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { formatUs, printNote, Progress } from '../terminal.ts';
import { checkOutputs, type OutputOptions, writeOutputs } from './outputs.ts';
import { type Plan, planOf, type SetupOptions } from './setup-options.ts';
import { STILL_US, Watch } from './watch.ts';

const BAR_WIDTH = 30;
const BAR_MS = 250;

export async function execute(policies: readonly string[], options: SetupOptions & OutputOptions): Promise<void> {
  checkOutputs(options, isPolicy);
  // Before any thread begins: they take over what holds for the process.
  for (const flag of SCHEDULER_COMPILER_FLAGS) setFlagsFromString(flag);
  const plan = await planOf(policies, options);
  const stop = new AbortController();
  const interrupted = (): void => stop.abort();
  process.once('SIGINT', interrupted);
  const runs = await runWithBar(plan, options.threads, stop.signal);
  process.removeListener('SIGINT', interrupted);
  writeOutputs(reportOf(plan, runs), options);
  if (stop.signal.aborted) {
    printNote(
      `stopped: ${runs.filter(hasEnded).length} of ${runs.length} simulations had ended; set-ups that lack one are left out`,
    );
    // As a program does that never caught it: a shell's loop around it stops too.
    process.kill(process.pid, 'SIGINT');
    return;
  }
  const failed = runs.filter(({ error }) => error !== null);
  if (failed.length > 0) throw failureOf(failed, runs.length, plan);
}

function hasEnded({ result, error }: Run): boolean {
  return result !== null || error !== null;
}

function isPolicy(text: string): boolean {
  try {
    parsePolicy(text);
    return true;
  } catch {
    return false;
  }
}

async function runWithBar(plan: Plan, threadCount: number, signal: AbortSignal): Promise<readonly Run[]> {
  const { specs, policyFiles } = plan;
  const progress = new Progress();
  const shares = sharesFor(threadCount);
  const watch = new Watch(shares);
  const beginUs = realClock.nowUs();
  let endedCount = 0;
  const show = (): void => {
    const done = shares.reduce((sum, share) => sum + Math.min(1, share), endedCount);
    progress.say(
      barOf(done / specs.length, `${endedCount} of ${specs.length} simulations`, realClock.nowUs() - beginUs),
    );
  };
  const progressed = (count: number): void => {
    endedCount = count;
    show();
  };
  const running = (threadIndex: number, spec: SimulationSpec | null): void =>
    watch.running(threadIndex, spec, realClock.nowUs());
  const stop = realClock.every(BAR_MS, () => {
    for (const spec of watch.look(realClock.nowUs())) {
      progress.clear();
      printNote(`no progress for ${formatUs(STILL_US)}: ${nameOf(spec)}: its policy may go round in circles; ^C stops`);
    }
    show();
  });
  show();
  try {
    return await runBatch(specs, { threadCount, policyFiles, progressed, running, shares, signal });
  } finally {
    stop();
    progress.clear();
  }
}

function barOf(share: number, said: string, tookUs: number): string {
  const filled = Math.min(BAR_WIDTH, Math.round(share * BAR_WIDTH));
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${said}, ${formatUs(tookUs)}`;
}

function reportOf({ specs, costsName, command }: Plan, runs: readonly Run[]): Report {
  return { command, costsName, costs: specs[0]!.costs, summaries: summariesOf(runs) };
}

function nameOf({ policy, workload, servers, load, seed }: SimulationSpec): string {
  return `${policy}, ${workload}, ${servers} servers, load ${load ?? 'as recorded'}, seed ${seed}`;
}

function failureOf(failed: readonly Run[], count: number, { policyFiles }: Plan): CliError {
  const lines = failed.map(({ spec, error }) => `${nameOf(spec)}: ${error?.message ?? ''}`);
  const details = [...lines.slice(1), failed[0]?.error?.details ?? ''].filter((line) => line !== '');
  // What others have written fails by their own fault, or so it has to be taken.
  const isUsers = policyFiles.length > 0 || failed.every(({ error }) => error?.isSpec === true);
  const exitCode = isUsers ? EXIT.usage : EXIT.internal;
  return new CliError(
    exitCode,
    `${failed.length} of ${count} simulations failed: ${lines[0] ?? ''}`,
    details.map((line) => `${line}\n`).join(''),
  );
}
