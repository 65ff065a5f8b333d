/** A zip in memory, from names and contents. */
import { createRequire } from 'node:module';

interface ZipFile {
  readonly outputStream: AsyncIterable<Buffer>;
  addBuffer(content: Buffer, name: string, options: { mode: number }): void;
  end(): void;
}

const { ZipFile } = createRequire(import.meta.url)('yazl') as { ZipFile: new () => ZipFile };

/** Files that everybody may execute: nobody minds, and a bootstrap has to be one. */
const MODE = 0o100_755;

export async function makeZip(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(files)) zip.addBuffer(Buffer.from(content), name, { mode: MODE });
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
