/**
 * The layers in perch.json: the ARN of a version, or a folder. A folder is a layer of its own name; a version is
 * published where its content is another one than that of the newest.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Client } from '../client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { isLayerWhole, newestLayerVersion, publishLayerVersion } from '../lambda-api.ts';
import type { PackageFiles } from './archive.ts';
import { addFolder, makeZip } from './archive.ts';

export type LayerSource =
  | { readonly kind: 'arn'; readonly arn: string }
  | { readonly kind: 'folder'; readonly name: string; readonly path: string };

export type PackedLayer =
  | { readonly kind: 'arn'; readonly arn: string }
  | { readonly kind: 'zip'; readonly name: string; readonly zip: Buffer };

export function layerAt(text: string, folder: string): LayerSource {
  if (text.startsWith('arn:')) return { kind: 'arn', arn: text };
  const path = resolve(folder, text);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new CliError(EXIT.usage, `the layer '${text}' is no folder; give a folder or the ARN of a layer version`);
  }
  const name = basename(path);
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw new CliError(EXIT.usage, `the folder '${text}' cannot name a layer: that has letters, digits, - and _ alone`);
  }
  return { kind: 'folder', name, path };
}

export async function packLayer(source: LayerSource): Promise<PackedLayer> {
  if (source.kind === 'arn') return source;
  const files: PackageFiles = new Map();
  addFolder(files, source.path);
  if (files.size === 0) throw new CliError(EXIT.usage, `the layer '${source.path}' has no files`);
  return { kind: 'zip', name: source.name, zip: await makeZip(files) };
}

/** The ARNs of the versions, in the same order. */
export async function bringLayers(client: Client, layers: readonly PackedLayer[]): Promise<string[]> {
  const arns: string[] = [];
  for (const layer of layers) arns.push(layer.kind === 'arn' ? layer.arn : await bring(client, layer.name, layer.zip));
  return arns;
}

async function bring(client: Client, name: string, zip: Buffer): Promise<string> {
  const newest = await newestLayerVersion(client, name);
  const same = newest?.Content.CodeSha256 === createHash('sha256').update(zip).digest('base64');
  // Who deploys the same again may do so because the layer on the platform's disk is damaged: publishing it mends it.
  const kept = newest !== null && same && (await isLayerWhole(client, newest));
  const version = kept ? newest : await publishLayerVersion(client, name, zip);
  return version.LayerVersionArn;
}
