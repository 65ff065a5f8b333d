/** Rows of a CSV file by the names in its first line, and what is wrong with them: file, line, and what would be right. No cell holds a comma. */
import { SpecError } from '../../spec-error.ts';
import { eachLine } from './lines.ts';

export interface Columns {
  readonly required: readonly string[];
  readonly optional?: readonly string[];
}

/** The row that is being read: only while it is. */
export class Row {
  readonly #file: string;
  readonly #columns: ReadonlyMap<string, number>;
  cells: readonly string[] = [];
  lineNumber = 0;

  constructor(file: string, columns: ReadonlyMap<string, number>) {
    this.#file = file;
    this.#columns = columns;
  }

  has(column: string): boolean {
    return this.#columns.has(column);
  }

  text(column: string): string {
    const text = this.cells[this.#columns.get(column)!]!;
    if (text !== '') return text;
    throw this.error(`column ${column} is empty`);
  }

  number(column: string, least = -Infinity): number {
    const text = this.cells[this.#columns.get(column)!]!;
    const value = Number(text);
    if (text.trim() !== '' && value >= least && value < Infinity) return value;
    const range = least === -Infinity ? 'a number' : `a number from ${least} on`;
    throw this.error(`column ${column} is '${text}': it has to be ${range}`);
  }

  error(what: string): SpecError {
    return new SpecError(`${this.#file}:${this.lineNumber}: ${what}`);
  }
}

export function eachRow(file: string, columns: Columns, use: (row: Row) => void): void {
  let row: Row | null = null;
  let width = 0;
  eachLine(file, (line, lineNumber) => {
    if (row === null) {
      const header = headerOf(file, line, columns);
      width = header.length;
      row = new Row(file, namedIn(header, [...columns.required, ...(columns.optional ?? [])]));
      return;
    }
    if (line === '') return;
    row.cells = line.split(',');
    row.lineNumber = lineNumber;
    if (row.cells.length !== width) {
      throw row.error(`${row.cells.length} cells: it has to be ${width}, as in the first line`);
    }
    use(row);
  });
  if (row === null) throw new SpecError(`${file}: it is empty: the first line has to name the columns`);
}

/** The names in the first line. */
export function headerOf(file: string, line: string, { required, optional = [] }: Columns): string[] {
  // Some programs begin a text file with a mark of its encoding.
  const names = line
    .replace(/^\uFEFF/, '')
    .split(',')
    .map((name) => name.trim());
  const missing = required.filter((name) => !names.includes(name));
  const twice = [...required, ...optional].find((name) => names.indexOf(name) !== names.lastIndexOf(name));
  if (twice !== undefined) throw new SpecError(`${file}:1: column ${twice} is there twice: it has to be there once`);
  if (missing.length === 0) return names;
  const seen = names.length > 8 ? `${names.slice(0, 8).join(',')},…` : names.join(',');
  throw new SpecError(
    `${file}:1: no column ${missing.join(', ')} in '${seen}': the first line has to name the columns`,
  );
}

function namedIn(header: readonly string[], wanted: readonly string[]): Map<string, number> {
  return new Map(header.flatMap((name, index) => (wanted.includes(name) ? [[name, index] as const] : [])));
}
