/** A plan → the zip and the settings to upload. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { unreachable } from '../../base/assert.ts';
import { LIMITS } from '../../base/limits.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { PackageFiles } from './archive.ts';
import { addFile, addFolder, makeZip } from './archive.ts';
import { packLayer } from './layers.ts';
import { type Plan, type Source, familyOfSource } from './plan.ts';
import { pythonHandler } from './python.ts';
import { RUNTIME_DEFAULT, familyOf } from './runtime-family.ts';
import type { Packed } from './upload.ts';
import { packWasm } from './wasm.ts';

const HANDLER_DEFAULT = 'index.handler';
const BOOTSTRAP = 'bootstrap';
const HANDLER_EXTENSIONS = ['.mjs', '.js', '.cjs'];

export async function packPlan(plan: Plan): Promise<Packed> {
  const { zip, handler } = await code(plan);
  if (zip.length > LIMITS.zipBytesMax) {
    const mb = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);
    throw new CliError(
      EXIT.usage,
      `the package of '${plan.name}' has ${mb(zip.length)} MB; the most is ${mb(LIMITS.zipBytesMax)} MB. Leave out what it does not need`,
    );
  }
  const family = familyOfSource(plan.source);
  return {
    name: plan.name,
    zip,
    settings: { ...plan.settings, Handler: handler },
    runtimeDefault: family === null ? null : RUNTIME_DEFAULT[family],
    perchVariables: plan.perchVariables ?? {},
    ...(plan.layers !== undefined && { layers: await Promise.all(plan.layers.map(packLayer)) }),
    ...(plan.concurrency !== undefined && { concurrency: plan.concurrency }),
    ...(plan.provisioned !== undefined && { provisioned: plan.provisioned }),
  };
}

async function code(plan: Plan): Promise<{ zip: Buffer; handler: string }> {
  const { source } = plan;
  if (source.kind === 'zip') return { zip: readFileSync(source.path), handler: handlerInZip(plan, source.path) };
  const { files, handler } = await filesOf(source, plan.handler, plan.external);
  return { zip: await makeZip(files), handler };
}

async function filesOf(
  source: Exclude<Source, { kind: 'zip' }>,
  wanted: string | undefined,
  external: readonly string[],
): Promise<{ files: PackageFiles; handler: string }> {
  const files: PackageFiles = new Map();
  switch (source.kind) {
    case 'folder': {
      const handler = wanted ?? HANDLER_DEFAULT;
      addFolder(files, source.path);
      checkHandlerFile(files, handler, source.path);
      return { files, handler };
    }
    case 'python': {
      const handler = pythonHandler(source.path, source.entry, wanted);
      addFolder(files, source.path);
      return { files, handler };
    }
    case 'provided':
      addBootstrap(files, source.path);
      return { files, handler: wanted ?? BOOTSTRAP };
    case 'wasm':
      return packWasm(source.path, wanted);
    case 'bundle': {
      const { bundle } = await import('./bundle.ts');
      return bundle(source.entry, { external, ...(wanted !== undefined && { handler: wanted }) });
    }
    default:
      return unreachable(source);
  }
}

/** A zip is not looked into, so only its owner can say, but for Node and a bootstrap, whose handler is not used. */
function handlerInZip({ handler, settings }: Plan, path: string): string {
  const family = settings.Runtime === undefined ? 'node' : familyOf(settings.Runtime);
  if (handler !== undefined || family === 'node' || family === null) return handler ?? HANDLER_DEFAULT;
  if (family === 'provided') return BOOTSTRAP;
  throw new CliError(EXIT.usage, `${path} does not tell its handler; name it with --handler, as in app.handler`);
}

/** Kept executable whatever its mode is here: that of a file from another system says nothing. */
function addBootstrap(files: PackageFiles, path: string): void {
  const isFolder = statSync(path).isDirectory();
  if (isFolder) addFolder(files, path);
  else addFile(files, path, BOOTSTRAP);
  const bootstrap = files.get(BOOTSTRAP);
  if (bootstrap === undefined) throw new CliError(EXIT.usage, `${join(path, BOOTSTRAP)} is no file`);
  files.set(BOOTSTRAP, { ...bootstrap, executable: true });
}

function checkHandlerFile(files: PackageFiles, handler: string, folder: string): void {
  const dot = handler.indexOf('.', handler.lastIndexOf('/') + 1);
  if (dot < 1)
    throw new CliError(EXIT.usage, `handler '${handler}' has not the form file.export, as in ${HANDLER_DEFAULT}`);
  const file = handler.slice(0, dot);
  if (HANDLER_EXTENSIONS.some((extension) => files.has(file + extension))) return;
  throw new CliError(
    EXIT.usage,
    `${folder} has no ${HANDLER_EXTENSIONS.map((extension) => file + extension).join(', ')} for the handler '${handler}'; name yours with --handler`,
  );
}
