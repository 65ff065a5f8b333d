/**
 * The edge of the `perch` process: finds the command, runs it, turns what it throws into one line and an exit code.
 * Only the file of the command asked for is loaded; a command is a file in commands/ that exports `register`.
 */
import { readFileSync } from 'node:fs';
import { CommanderError, Command } from 'commander';
import { CliError, EXIT } from './exit-codes.ts';

interface CommandFile {
  register(program: Command): void;
}

/** In the order of the help text. */
const COMMANDS: Readonly<Record<string, () => Promise<CommandFile>>> = {
  up: () => import('./commands/up.ts'),
  deploy: () => import('./commands/deploy.ts'),
  invoke: () => import('./commands/invoke.ts'),
  chain: () => import('./commands/chain.ts'),
  knowledge: () => import('./commands/knowledge.ts'),
  list: () => import('./commands/list.ts'),
  logs: () => import('./commands/logs.ts'),
  delete: () => import('./commands/delete.ts'),
  cores: () => import('./commands/cores.ts'),
  top: () => import('./commands/top.ts'),
  cluster: () => import('./commands/cluster.ts'),
  scheduler: () => import('./commands/scheduler.ts'),
  worker: () => import('./commands/worker.ts'),
  gateway: () => import('./commands/gateway.ts'),
  doctor: () => import('./commands/doctor.ts'),
  demo: () => import('./commands/demo.ts'),
  experiment: () => import('./commands/experiment.ts'),
  sim: () => import('./commands/sim.ts'),
};

const HELP_EPILOGUE = `
Start here:
  perch up                      start the platform (in a terminal of its own)
  perch deploy hello.ts         deploy a function
  perch invoke hello -d '{}'    run it

Exit codes: 0 ok, 1 the function failed, 2 wrong usage, 3 not found, 4 refused, 5 busy, 69 no platform, 70 a bug of Perch.`;

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

async function buildProgram(name: string | undefined): Promise<Command> {
  const program = new Command('perch')
    .description('Serverless functions on your own machines, each on a core of its own.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .addHelpText('after', HELP_EPILOGUE)
    .showSuggestionAfterError()
    .showHelpAfterError("'perch help' lists what there is, 'perch COMMAND --help' explains it.")
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'perch: ')) });
  const load = name === undefined || !Object.hasOwn(COMMANDS, name) ? undefined : COMMANDS[name];
  const files = load === undefined ? await Promise.all(Object.values(COMMANDS).map((each) => each())) : [await load()];
  for (const file of files) file.register(program);
  // Subcommands do not inherit this, and their errors would end the process with commander's own codes.
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

/** Prints what went wrong; answers the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // it has printed already
  if (error instanceof CliError) {
    process.stderr.write(`perch: ${error.message}\n${error.details}`);
    return error.exitCode;
  }
  process.stderr.write(`perch: this is a bug of Perch: ${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT.internal;
}

async function main(args: readonly string[]): Promise<void> {
  // `perch list | head -1`: a reader that has seen enough is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    process.stderr.write(`perch: stdout cannot be written: ${error.message}\n`);
    process.exit(EXIT.usage);
  });
  const [first] = args;
  if (first === '--version' || first === '-V') {
    process.stdout.write(version() + '\n');
    return;
  }
  try {
    const program = await buildProgram(first);
    if (first === undefined) program.outputHelp();
    else await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

await main(process.argv.slice(2));
