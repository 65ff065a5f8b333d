/** `perch knowledge`: what is said of when a function sleeps. docs/KNOWLEDGE.md has the language. */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { hasNoRule, sizeFault } from '../../worker/agent/operator-knowledge.ts';
import { Client } from '../client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type EndpointOptions, withEndpoint } from '../options.ts';
import { deleteKnowledge, getKnowledge, getOverview, type Knowledge, putKnowledge } from '../perch-api.ts';
import { parseSources } from '../sharing-option.ts';
import { effectText } from '../sharing-text.ts';
import { printJson, printLine, printNote } from '../terminal.ts';

interface SetOptions extends EndpointOptions {
  readonly rules?: string;
  readonly plugin?: string;
  readonly sources?: readonly string[];
}

const HELP = `
Where cores are shared by lend, packed or preempt it counts at once, also for what runs; with dedicated and fair it counts for nothing. It makes no new
version. Each 'set' replaces what was said before.

Rules, one a line:
  after sent sleep until received or 50ms
  while polling sleep until received or 20ms

Examples:
  perch knowledge set resize --rules resize.rules
  perch knowledge set crawl --plugin crawl.wasm --sources directed,learning`;

export function register(program: Command): void {
  const knowledge = program
    .command('knowledge')
    .description('say when a function sleeps, and what wakes it')
    .addHelpText('after', HELP);
  withEndpoint(knowledge.command('set').description('say it by rules or a plug-in, and say whose word counts'))
    .argument('<name>', 'of the function')
    .option('--rules <file>', "rules; '-' for stdin")
    .option('--plugin <file>', 'a WebAssembly module that decides, in place of rules')
    .addOption(
      new Option(
        '--sources <sources>',
        'whose word counts for it: directed, learning, collaborative, or none (default: as the platform has it)',
      ).argParser(parseSources),
    )
    .addHelpText('after', HELP)
    .action(set);
  withEndpoint(knowledge.command('show').description('show what is said of a function'))
    .argument('<name>')
    .action(show);
  withEndpoint(knowledge.command('clear').description('take back what was said of a function'))
    .argument('<name>')
    .action(clear);
}

async function set(name: string, options: SetOptions): Promise<void> {
  const { rules, plugin, sources } = options;
  if (rules === undefined && plugin === undefined && sources === undefined)
    throw new CliError(EXIT.usage, 'give --rules, --plugin or --sources; there is nothing to be said');
  if (rules !== undefined && plugin !== undefined)
    throw new CliError(EXIT.usage, '--rules and --plugin were given; a function has one of them');
  const client = new Client(options.endpoint);
  const program = {
    ...(rules === undefined ? {} : { rules: read(rules).toString('utf8') }),
    ...(plugin === undefined ? {} : { plugin: read(plugin).toString('base64') }),
  };
  const fault = sizeFault(program);
  if (fault !== null) throw new CliError(EXIT.refused, fault);
  const said = await putKnowledge(client, name, { ...program, ...(sources === undefined ? {} : { sources }) });
  if (options.json === true) return printJson(said);
  const empty = hasNoRule(said) ? ', without any rule in it' : '';
  printLine(`set for ${name}${empty}; ${effectText(said, (await getOverview(client)).sharing ?? [])}`);
}

async function show(name: string, options: EndpointOptions): Promise<void> {
  const said = await getKnowledge(new Client(options.endpoint), name);
  if (options.json === true) return printJson(said);
  const { sources, rules, plugin } = said;
  if (sources === null && rules === null && plugin === null)
    return printNote(`nothing is said of ${name}; 'perch knowledge set ${name} --rules FILE' says something`);
  printLine(`sources: ${sourcesText(sources)}`);
  if (plugin !== null) printLine(`plug-in: ${Buffer.from(plugin, 'base64').length} bytes of WebAssembly`);
  if (rules !== null) process.stdout.write(rules.endsWith('\n') ? rules : `${rules}\n`);
}

function sourcesText(sources: Knowledge['sources']): string {
  if (sources === null) return 'as the platform has them';
  return sources.length === 0 ? 'none' : sources.join(', ');
}

async function clear(name: string, options: EndpointOptions): Promise<void> {
  await deleteKnowledge(new Client(options.endpoint), name);
  if (options.json === true) return printJson({ name, cleared: true });
  printLine(`nothing is said of ${name} any more`);
}

function read(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new CliError(EXIT.usage, `${file} cannot be read: ${(error as Error).message}`);
  }
}
