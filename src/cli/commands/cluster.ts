/** `perch cluster`: who belongs to a cluster. An authority makes a join file for each node; docs/CLUSTER.md has the rest. */
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { Problem } from '../../cluster/identity/authority.ts';
import type { Identity, Whereabouts } from '../../cluster/identity/join-file.ts';
import type { Role } from '../../cluster/identity/names.ts';
import { ROLES, isRole } from '../../cluster/identity/names.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { dataFolderDefault, hostAndPort, parseHostAndPort, wholeNumber } from '../options.ts';
import { formatTable, printJson, printLine, style } from '../terminal.ts';

interface FolderOptions {
  readonly folder: string;
  readonly json?: boolean;
}

interface AddOptions extends FolderOptions {
  readonly roles: readonly Role[];
  readonly address?: readonly string[];
  readonly out?: string;
  readonly days?: number;
  readonly renew?: boolean;
}

interface TryOptions {
  readonly to: readonly Role[];
  readonly revoked?: string;
  readonly json?: boolean;
}

const NODE_DAYS_MAX = 3653;

const HELP = `
From one machine to several:
  perch cluster init --scheduler 10.0.0.1:9401 --store 10.0.0.1:9403     once, where you keep the authority
  perch cluster add NAME --roles worker                                  for each node: makes NAME.join
  copy NAME.join to that node, mode 600, and delete it here

A join file holds the key of its node: whoever has it can be that node. 'perch cluster revoke' takes it back.`;

export function register(program: Command): void {
  const cluster = program
    .command('cluster')
    .description('say which nodes may join a cluster, and with which roles')
    .addHelpText('after', HELP);
  withFolder(cluster.command('init').description("make a cluster's certificate authority"))
    .option('--name <name>', 'begins the name of the cluster', 'perch')
    .option('--scheduler <host:port>', 'where its scheduler will be: every join file says so', addressText)
    .option('--store <host:port>', 'where the gateway with the store will be: the same', addressText)
    .action(init);
  withFolder(cluster.command('add').description('make the join file of a node'))
    .argument('<name>', 'of the node, such as the name of its machine')
    .requiredOption(
      '--roles <roles>',
      'what the node may be: worker, gateway, scheduler, or several with commas',
      parseRoles,
    )
    .option('--address <host...>', 'a name or IP address that it is dialled by; without any, others may dial it by all')
    .option('--out <file>', 'the join file to write (default: NAME.join)')
    .option('--days <days>', 'how long it may join (default: 365)', wholeNumber(1, NODE_DAYS_MAX))
    .option('--renew', 'although there is a node of that name: a new file for it')
    .action(add);
  withFolder(cluster.command('list').description('list the certificates made for nodes')).action(list);
  withFolder(cluster.command('revoke').description('take back what was given to a node'))
    .argument('<what>', 'the name of a node, a fingerprint or a join file')
    .action(revokeNode);
  cluster
    .command('show')
    .description('say what a join file is for; never its key')
    .argument('<file>')
    .option('--folder <folder>', 'check it against the authority there as well')
    .option('--json', 'print JSON')
    .action(show);
  cluster
    .command('try')
    .description('connect with a join file, and say who answers')
    .argument('<file>')
    .argument('<host:port>', 'of a node')
    .option('--to <roles>', 'what it has to be', parseRoles, ROLES)
    .option('--revoked <file>', 'the list of revoked certificates')
    .option('--json', 'print JSON')
    .action(tryPeer);
}

function withFolder(command: Command): Command {
  return command
    .option('--folder <folder>', "the authority's folder", join(dataFolderDefault(), 'cluster'))
    .option('--json', 'print JSON');
}

/** As it was given; it is parsed by who dials. */
function addressText(text: string): string {
  hostAndPort(text);
  return text;
}

function parseRoles(text: string): readonly Role[] {
  const words = text.split(',').map((word) => word.trim());
  const unknown = words.find((word) => !isRole(word));
  if (unknown === undefined) return ROLES.filter((role) => words.includes(role));
  throw new InvalidArgumentError(`'${unknown}' is no role: they are worker, gateway and scheduler.`);
}

/** Only whoever makes or checks certificates loads what that takes. */
const authorityModule = () => import('../../cluster/identity/authority.ts');
const joinFileModule = () => import('../../cluster/identity/join-file.ts');

const EXIT_OF = { 'wrong value': EXIT.usage, absent: EXIT.notFound, refused: EXIT.refused } as const;

async function orThrow<T>(result: T | Problem | Promise<T | Problem>): Promise<T> {
  const { Problem } = await authorityModule();
  const settled = await result;
  if (settled instanceof Problem) throw new CliError(EXIT_OF[settled.kind], settled.message);
  return settled;
}

async function init(options: FolderOptions & Whereabouts & { readonly name: string }): Promise<void> {
  const { initAuthority } = await authorityModule();
  const { dateOf, whereaboutsOf } = await joinFileModule();
  const made = await orThrow(initAuthority(options.folder, options.name, Date.now(), whereaboutsOf(options)));
  const { cluster, fingerprint, notAfterMs } = made;
  if (options.json === true) {
    return printJson({ cluster, folder: options.folder, fingerprint, notAfter: dateOf(notAfterMs) });
  }
  printLine(`The authority of cluster ${style('bold', cluster)} is in ${options.folder}, until ${dateOf(notAfterMs)}.`);
  printLine('Whoever has ca.key there can make nodes of the cluster: keep a copy where nobody else comes.');
  printLine("Next, for each node: 'perch cluster add NAME --roles worker' (or gateway, or scheduler, or several).");
}

async function add(name: string, options: AddOptions): Promise<void> {
  const { addNode, openAuthority } = await authorityModule();
  const { dateOf } = await joinFileModule();
  const authority = await orThrow(openAuthority(options.folder));
  const { roles, address = [], days, renew = false, out = `${name}.join` } = options;
  const added = await orThrow(addNode(authority, { name, roles, addresses: address, days, renew, out }, Date.now()));
  const { fingerprint, notAfterMs } = added;
  if (options.json === true) {
    return printJson({ cluster: authority.cluster, name, roles, fingerprint, notAfter: dateOf(notAfterMs), file: out });
  }
  printLine(
    `${style('bold', out)} lets ${name} join ${authority.cluster} as ${roles.join(', ')}, until ${dateOf(notAfterMs)}.`,
  );
  printLine('It holds the key of the node: copy it to that node and no other (mode 600), then delete it here.');
}

async function list(options: FolderOptions): Promise<void> {
  const { listIssued, openAuthority } = await authorityModule();
  const { dateOf } = await joinFileModule();
  const authority = await orThrow(openAuthority(options.folder));
  const nowMs = Date.now();
  const rows = (await orThrow(listIssued(authority))).map((each) => ({
    name: each.name,
    roles: each.roles.split(','),
    state: each.revoked ? 'revoked' : each.notAfterMs <= nowMs ? 'expired' : 'valid',
    notAfter: dateOf(each.notAfterMs),
    fingerprint: each.fingerprint,
  }));
  if (options.json === true) return printJson({ cluster: authority.cluster, certificates: rows });
  process.stdout.write(
    formatTable(
      [
        { title: 'NAME', value: (row) => row.name },
        { title: 'ROLES', value: (row) => row.roles.join(',') },
        { title: 'STATE', value: (row) => row.state, paint: (row) => (row.state === 'valid' ? 'green' : 'yellow') },
        { title: 'UNTIL', value: (row) => row.notAfter },
        { title: 'FINGERPRINT', value: (row) => row.fingerprint },
      ],
      rows,
    ),
  );
}

async function revokeNode(what: string, options: FolderOptions): Promise<void> {
  const { openAuthority, revoke, revokedFileOf } = await authorityModule();
  const authority = await orThrow(openAuthority(options.folder));
  const revoked = await orThrow(revoke(authority, what, Date.now()));
  const file = revokedFileOf(authority);
  if (options.json === true) {
    return printJson({ revoked: revoked.map(({ name, fingerprint }) => ({ name, fingerprint })), file });
  }
  for (const { name, fingerprint } of revoked) printLine(`revoked ${name} ${fingerprint}`);
  if (revoked.length === 0) printLine('It was revoked before.');
  printLine(`Nodes learn of it from the list: copy ${file} to each.`);
}

async function show(file: string, options: { readonly folder?: string; readonly json?: boolean }): Promise<void> {
  const { dateOf, readAnyJoinFile } = await joinFileModule();
  const identity = readAnyJoinFile(file);
  if (typeof identity === 'string') throw new CliError(EXIT.usage, identity);
  const { cluster, name, roles, addresses, fingerprint, whereabouts } = identity;
  const shown = {
    cluster,
    name,
    roles,
    addresses,
    ...whereabouts,
    notBefore: dateOf(identity.notBeforeMs),
    notAfter: dateOf(identity.notAfterMs),
    fingerprint,
    state: await stateOf(file, identity, options.folder),
  };
  if (options.json === true) return printJson(shown);
  for (const [what, how] of Object.entries(shown)) {
    const text = typeof how === 'string' ? how : how.length === 0 ? 'any' : how.join(', ');
    printLine(`${style('dim', WORDS_OF[what as keyof typeof shown].padEnd(11))}  ${text}`);
  }
}

const WORDS_OF = {
  cluster: 'cluster',
  name: 'name',
  roles: 'roles',
  addresses: 'addresses',
  scheduler: 'scheduler',
  store: 'store',
  notBefore: 'not before',
  notAfter: 'not after',
  fingerprint: 'fingerprint',
  state: 'state',
} as const;

async function stateOf(file: string, identity: Identity, folder: string | undefined): Promise<string> {
  const nowMs = Date.now();
  if (folder !== undefined) {
    const { ofAnotherCluster, openAuthority, revokedOf } = await authorityModule();
    const authority = await orThrow(openAuthority(folder));
    await orThrow(ofAnotherCluster(authority, file, identity));
    const revoked = await orThrow(revokedOf(authority));
    if (revoked.has(identity.fingerprint)) return 'revoked';
  }
  if (nowMs >= identity.notAfterMs) return 'expired';
  return nowMs < identity.notBeforeMs ? 'not yet valid' : 'valid';
}

async function tryPeer(file: string, address: string, options: TryOptions): Promise<void> {
  const [{ readJoinFile }, { readRevoked, NONE_REVOKED }, { tryNode }] = await Promise.all([
    joinFileModule(),
    import('../../cluster/identity/revoked.ts'),
    import('../../cluster/identity/try-node.ts'),
  ]);
  const node = parseHostAndPort(address);
  if (node === null) throw new CliError(EXIT.usage, `'${address}' is no address of a node: it has to be HOST:PORT.`);
  const identity = readJoinFile(file, Date.now());
  if (typeof identity === 'string') throw new CliError(EXIT.usage, identity);
  const revoked = options.revoked === undefined ? NONE_REVOKED : readRevoked(options.revoked);
  if (typeof revoked === 'string') throw new CliError(EXIT.usage, revoked);
  const tried = await tryNode({ ...node, identity, roles: options.to, revoked });
  if ('unreachable' in tried) {
    throw new CliError(EXIT.unreachable, `Nobody answers at ${address}: ${tried.unreachable}.`);
  }
  if ('message' in tried) throw new CliError(EXIT.refused, `${address} is not to be used: ${tried.message}.`);
  if (options.json === true) return printJson(tried);
  printLine(`${address} is ${tried.name} (${tried.roles.join(', ')}), and takes this join file.`);
}
