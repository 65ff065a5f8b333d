/** What this machine can and cannot do for Perch, and how to fix it; or how it is with one function of a platform. */
import type { Command } from 'commander';
import { Client } from '../client.ts';
import { defaultMemoryMb } from '../default-memory.ts';
import type { Diagnosis } from '../doctor/machine.ts';
import { findCores, findDataFolder, findMemory, findNode, findProgram } from '../doctor/machine.ts';
import { EXIT } from '../exit-codes.ts';
import { type EndpointOptions, dataFolderDefault, parseCores, parseMemoryMb, withEndpoint } from '../options.ts';
import { formatTable, printJson, printLine, style } from '../terminal.ts';

interface DoctorOptions extends EndpointOptions {
  readonly data: string;
  readonly cores?: number[];
  readonly memory?: number;
  readonly qualifier?: string;
}

export function register(program: Command): void {
  const command = program
    .command('doctor')
    .description('check what this machine can do, and say how to fix what it cannot')
    .argument('[name]', 'a function: say how it runs on the platform, and whether it can be copied')
    .option('--qualifier <version>', 'of that function, another version than the latest')
    .option('--data <folder>', 'the data folder to check', dataFolderDefault())
    .option('--cores <list>', 'as for up: judge by these CPUs', parseCores)
    .option('--memory <MB>', 'as for up: judge how cores are shared by this memory', parseMemoryMb)
    .addHelpText(
      'after',
      '\nWithout a name it needs no platform, and exits with 0 where functions can run in a sandbox here, with 1 where they cannot.',
    );
  withEndpoint(command).action((name: string | undefined, options: DoctorOptions) =>
    name === undefined ? doctor(options) : examine(name, options),
  );
}

async function doctor(options: DoctorOptions): Promise<void> {
  const [{ findSandbox }, { findRuntimes }, { ebpfFinding }, { findSharing }, { readTopology }] = await Promise.all([
    import('../doctor/sandbox.ts'),
    import('../doctor/runtimes.ts'),
    import('../../worker/observers/ebpf/missing.ts'),
    import('../machine-sharing.ts'),
    import('../../worker/agent/topology.ts'),
  ]);
  const topology = readTopology(options.cores ?? null);
  const diagnoses: readonly Diagnosis[] = [
    findNode(),
    ...(await findSandbox()),
    ebpfFinding(),
    ...findRuntimes(),
    findCores(topology),
    findSharing(topology, options.memory ?? defaultMemoryMb()),
    findMemory(),
    findDataFolder(options.data),
    findProgram('clang', 'compiling what watches sleep and wake in the kernel (apt-get install clang libbpf-dev)'),
  ];
  const ready = diagnoses.every((each) => each.ok || !each.required);
  if (options.json === true) printJson({ ready, findings: diagnoses });
  else print(diagnoses, ready);
  if (!ready) process.exitCode = EXIT.functionFailed;
}

async function examine(name: string, options: DoctorOptions): Promise<void> {
  const { examineFunction, reportLines } = await import('../doctor/function.ts');
  const report = await examineFunction(new Client(options.endpoint), name, options.qualifier);
  if (options.json === true) {
    const { configuration, state, provisioned } = report;
    const { Runtime: runtime, CodeSize: codeBytes, Layers: layers = [] } = configuration;
    return printJson({ ...state, runtime, codeBytes, layers: layers.map((layer) => layer.Arn), provisioned });
  }
  const lines = reportLines(report);
  const width = Math.max(...lines.map(([what]) => what.length));
  for (const [what, how] of lines) printLine(`${style('dim', what.padEnd(width))}  ${how}`);
}

function print(diagnoses: readonly Diagnosis[], ready: boolean): void {
  const state = (each: Diagnosis): string => (each.ok ? 'ok' : each.required ? 'MISSING' : 'no');
  process.stdout.write(
    formatTable<Diagnosis>(
      [
        {
          title: 'STATE',
          value: state,
          paint: (each) => (each.ok ? 'green' : each.required ? 'red' : 'yellow'),
        },
        { title: 'WHAT', value: (each) => each.topic },
        { title: 'FOUND', value: (each) => each.detail },
      ],
      diagnoses,
    ),
  );
  const fixes = diagnoses.filter((each) => !each.ok && each.fix !== '');
  if (fixes.length > 0) printLine('\n' + style('bold', 'To fix'));
  for (const { topic, required, fix } of fixes) printLine(`  ${topic}${required ? '' : ' (optional)'}: ${fix}`);
  printLine('\n' + (ready ? 'Functions can run in a sandbox here.' : 'Functions cannot run in a sandbox here yet.'));
}
