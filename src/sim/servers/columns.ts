/** Columns by job number that servers and policies keep beside those of `Jobs`: they grow with the numbers that they are asked for. */
const FIRST_LENGTH = 1024;

/** The column itself where it has a place for the job, else a longer one with the same content. */
export function doubleColumn(column: Float64Array<ArrayBuffer>, job: number): Float64Array<ArrayBuffer> {
  if (job < column.length) return column;
  const longer = new Float64Array(lengthFor(job));
  longer.set(column);
  return longer;
}

export function intColumn(column: Int32Array<ArrayBuffer>, job: number): Int32Array<ArrayBuffer> {
  if (job < column.length) return column;
  const longer = new Int32Array(lengthFor(job));
  longer.set(column);
  return longer;
}

export function byteColumn(column: Uint8Array<ArrayBuffer>, job: number): Uint8Array<ArrayBuffer> {
  if (job < column.length) return column;
  const longer = new Uint8Array(lengthFor(job));
  longer.set(column);
  return longer;
}

function lengthFor(job: number): number {
  let length = FIRST_LENGTH;
  while (length <= job) length *= 2;
  return length;
}
