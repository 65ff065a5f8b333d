/** What becomes of the first invocations of a simulation, a line for each thing that happens to one: for whoever writes a policy. */
import { openWorld, type Setup } from '../simulate.ts';
import type { World } from '../world.ts';

export function journalOf(setup: Setup, lineMax: number): readonly string[] {
  const { world, policy } = openWorld(setup);
  const lines: string[] = [];
  listen(world, (line) => {
    if (lines.length < lineMax) lines.push(line);
  });
  world.open(policy);
  while (lines.length < lineMax && world.engine.step(setup.drainedUs));
  return lines;
}

/** The world tells the recorder and is told by the policy: whatever happens to a job passes through one of these. */
function listen(world: World, say: (line: string) => void): void {
  const { jobs, recorder, workload } = world;
  const line = (job: number, what: string): void =>
    say(`${(world.nowUs / 1000).toFixed(3).padStart(12)} ms  job ${String(job).padEnd(5)} ${what}`);
  const ms = (us: number): string => `${(us / 1000).toFixed(3)} ms`;

  const arrived = recorder.arrived.bind(recorder);
  recorder.arrived = (of, job) => {
    const { name } = workload.functions[of.functionOf(job)]!;
    const sleeps = of.sleepUs(job) > 0 ? `, sleeps ${ms(of.sleepUs(job))}` : '';
    line(job, `arrives: function ${name}, runs ${ms(of.demandUs(job))}${sleeps}`);
    arrived(of, job);
  };
  const started = world.started.bind(world);
  world.started = (job) => {
    line(job, `has a core${jobs.server(job) >= 0 ? ` of server ${jobs.server(job)}` : ''}`);
    started(job);
  };
  const finish = world.finish.bind(world);
  world.finish = (job, delayUs) => {
    line(job, `ends, ${ms(world.nowUs + (delayUs ?? 0) - jobs.arrivalUs(job))} after it arrived`);
    finish(job, delayUs);
  };
  const refuse = world.refuse.bind(world);
  world.refuse = (job) => {
    line(job, 'is refused');
    refuse(job);
  };
  const lose = world.lose.bind(world);
  world.lose = (job) => {
    line(job, 'is lost');
    lose(job);
  };
}
