/** The part of yauzl that we use; it ships no types. */
declare module 'yauzl' {
  import type { Readable } from 'node:stream';

  export interface Entry {
    /** Bytes, since we open with `decodeStrings: false`. */
    readonly fileName: Buffer;
    readonly versionMadeBy: number;
    readonly externalFileAttributes: number;
    readonly compressionMethod: number;
    readonly uncompressedSize: number;
    readonly compressedSize: number;
    readonly relativeOffsetOfLocalHeader: number;
    readonly crc32: number;
    isEncrypted(): boolean;
    canDecodeFileData(): boolean;
  }

  export interface ZipFile {
    readonly entryCount: number;
    eachEntry(): AsyncIterable<Entry>;
    /** The bytes as they are in the zip: we inflate them ourselves. */
    openReadStreamPromise(entry: Entry, options: { readonly decodeFileData: false }): Promise<Readable>;
  }

  export interface Options {
    readonly decodeStrings: false;
    readonly validateEntrySizes: true;
  }

  export function fromBufferPromise(buffer: Buffer, options: Options): Promise<ZipFile>;
}
