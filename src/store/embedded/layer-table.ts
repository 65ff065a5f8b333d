/** All versions of all layers, in memory as they are on disk. A version never changes, so there is nothing to decide on. */
import { UserError } from '../../base/errors.ts';
import type { LayerVersion } from '../store.ts';
import type { Database } from './database.ts';
import type { Statement } from './schema.ts';

export class LayerTable {
  readonly #database: Database;
  readonly #onChange: (layerName: string) => void;
  /** In order of their numbers; no layer without a version. */
  readonly #versions = new Map<string, LayerVersion[]>();
  readonly #lastNumbers = new Map<string, number>();
  /** On their way to the disk. */
  readonly #publishing = new Set<LayerVersion>();
  #names: string[] | null = null;

  constructor(database: Database, onChange: (layerName: string) => void) {
    this.#database = database;
    this.#onChange = onChange;
    const rows = database.reader.prepare('SELECT body FROM layer_versions ORDER BY layer_name, number');
    for (const row of rows.iterate()) this.#add(JSON.parse(String(row['body'])) as LayerVersion);
    for (const row of database.reader.prepare('SELECT * FROM last_layer_numbers').iterate()) {
      this.#lastNumbers.set(String(row['layer_name']), Number(row['number']));
    }
  }

  /** In order. */
  names(): readonly string[] {
    this.#names ??= [...this.#versions.keys()].toSorted();
    return this.#names;
  }

  /** In order of their numbers. */
  versionsOf(layerName: string): readonly LayerVersion[] {
    return this.#versions.get(layerName) ?? [];
  }

  get(layerName: string, version: number): LayerVersion | null {
    return this.versionsOf(layerName).find((each) => each.version === version) ?? null;
  }

  /** Those on their way to the disk too. */
  *all(): Iterable<LayerVersion> {
    for (const versions of this.#versions.values()) yield* versions;
    yield* this.#publishing;
  }

  publish(layer: Omit<LayerVersion, 'version'>): Promise<LayerVersion | UserError> {
    const { layerName } = layer;
    // Taken even if the transaction fails: a gap in the numbers does no harm.
    const number = (this.#lastNumbers.get(layerName) ?? 0) + 1;
    this.#lastNumbers.set(layerName, number);
    const version: LayerVersion = { ...layer, version: number };
    this.#publishing.add(version);
    const statements: readonly Statement[] = [
      { name: 'putLayerVersion', values: [layerName, number, JSON.stringify(version)] },
      { name: 'putLastLayerNumber', values: [layerName, number] },
    ];
    return this.#write(layerName, statements, version, () => this.#add(version)).finally(() =>
      this.#publishing.delete(version),
    );
  }

  delete(layerName: string, version: number): Promise<UserError | null> {
    const statement: Statement = { name: 'deleteLayerVersion', values: [layerName, version] };
    return this.#write(layerName, [statement], null, () => this.#remove(layerName, version));
  }

  #write<T>(layerName: string, statements: readonly Statement[], result: T, apply: () => void): Promise<T | UserError> {
    return new Promise((resolve) => {
      this.#database.write({
        statements,
        done: () => {
          apply();
          this.#onChange(layerName);
          resolve(result);
        },
        failed: (message) => resolve(new UserError('ServiceException', message)),
      });
    });
  }

  #add(version: LayerVersion): void {
    const versions = this.#versions.get(version.layerName);
    if (versions !== undefined) return void versions.push(version);
    this.#versions.set(version.layerName, [version]);
    this.#names = null;
  }

  #remove(layerName: string, version: number): void {
    const rest = this.versionsOf(layerName).filter((each) => each.version !== version);
    if (rest.length > 0) return void this.#versions.set(layerName, rest);
    this.#versions.delete(layerName);
    this.#names = null;
  }
}
