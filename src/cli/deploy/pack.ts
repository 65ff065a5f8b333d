/** A plan → the zip and the settings to upload. */
import { readFileSync } from 'node:fs';
import { LIMITS } from '../../base/limits.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { PackageFiles } from './archive.ts';
import { addFolder, makeZip } from './archive.ts';
import type { Plan } from './plan.ts';
import type { Packed } from './upload.ts';

const HANDLER_DEFAULT = 'index.handler';
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
  return {
    name: plan.name,
    zip,
    settings: { ...plan.settings, Handler: handler },
    ...(plan.concurrency !== undefined && { concurrency: plan.concurrency }),
  };
}

async function code(plan: Plan): Promise<{ zip: Buffer; handler: string }> {
  const { source } = plan;
  if (source.kind === 'zip') return { zip: readFileSync(source.path), handler: plan.handler ?? HANDLER_DEFAULT };
  if (source.kind === 'folder') {
    const files: PackageFiles = new Map();
    addFolder(files, source.path);
    const handler = plan.handler ?? HANDLER_DEFAULT;
    checkHandlerFile(files, handler, source.path);
    return { zip: await makeZip(files), handler };
  }
  const { bundle } = await import('./bundle.ts');
  const { files, handler } = await bundle(source.entry, {
    external: plan.external,
    ...(plan.handler !== undefined && { handler: plan.handler }),
  });
  return { zip: await makeZip(files), handler };
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
