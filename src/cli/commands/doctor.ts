/** What this machine can and cannot do for Perch, and how to fix it. Needs no platform. */
import type { Command } from 'commander';
import type { Diagnosis } from '../doctor/machine.ts';
import { findCores, findDataFolder, findMemory, findNode, findProgram } from '../doctor/machine.ts';

import { EXIT } from '../exit-codes.ts';
import { dataFolderDefault } from '../options.ts';
import { formatTable, printJson, printLine, style } from '../terminal.ts';

interface DoctorOptions {
  readonly data: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('doctor')
    .description('check what this machine can do, and say how to fix what it cannot')
    .option('--data <folder>', 'the data folder to check', dataFolderDefault())
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExits with 0 where functions can run in a sandbox here, with 1 where they cannot.')
    .action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  const { findSandbox } = await import('../doctor/sandbox.ts');
  const diagnoses: readonly Diagnosis[] = [
    findNode(),
    ...(await findSandbox()),
    findCores(),
    findMemory(),
    findDataFolder(options.data),
    findProgram('clang', 'watching sleep and wake with eBPF (to come)'),
    findProgram('nats-server', 'clusters (to come)'),
    findProgram('python3', 'functions in Python (to come)'),
  ];
  const ready = diagnoses.every((each) => each.ok || !each.required);
  if (options.json === true) printJson({ ready, findings: diagnoses });
  else print(diagnoses, ready);
  if (!ready) process.exitCode = EXIT.functionFailed;
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
