/**
 * The few calls of libbpf that are needed, through koffi: an object is opened, sized, loaded and attached; its maps are
 * written by calls, the table of places is read as memory that the kernel shares, and its bell is waited for by the event loop.
 */
import { type Koffi, type Library, loadLibrary } from '../../sandbox/libc.ts';
import { Bell, type BellListener, type RingCalls } from './bell.ts';

const LIBRARY = 'libbpf.so.1';
const MAP_SHARED = 1;
const PROT_READ_WRITE = 3;
const BPF_ANY = 0;
const STALE = 'the object was compiled of another source; run scripts/bpf.sh';
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

type Pointer = bigint | null;
/** struct bpf_test_run_opts; what is after these fields is optional. */
const RUN_FIELDS = {
  bytes: 'size_t',
  input: 'void *',
  output: 'void *',
  inputBytes: 'uint32_t',
  outputBytes: 'uint32_t',
  context: 'const uint8_t *',
  contextOut: 'void *',
  contextBytes: 'uint32_t',
  contextOutBytes: 'uint32_t',
} as const;
const RUN_BYTES = 56;
const RUN = {
  bytes: RUN_BYTES,
  input: null,
  output: null,
  inputBytes: 0,
  outputBytes: 0,
  contextOut: null,
  contextOutBytes: 0,
};

type Call<T> = (...values: unknown[]) => T;

interface Calls extends RingCalls {
  readonly openFile: Call<Pointer>;
  readonly load: Call<number>;
  readonly closeObject: Call<void>;
  readonly findMap: Call<Pointer>;
  readonly setMaxEntries: Call<number>;
  readonly mapFd: Call<number>;
  readonly valueSize: Call<number>;
  readonly findProgram: Call<Pointer>;
  readonly setAutoload: Call<number>;
  readonly findKernelType: Call<number>;
  readonly programFd: Call<number>;
  readonly attach: Call<Pointer>;
  readonly destroyLink: Call<number>;
  readonly update: Call<number>;
  readonly remove: Call<number>;
  readonly run: Call<number>;
  readonly mmap: Call<Pointer>;
  readonly munmap: Call<number>;
}

interface Bound {
  readonly koffi: Koffi;
  readonly calls: Calls;
}

/** Or why it cannot be used. */
function bind(): Bound | string {
  const loaded = loadLibrary();
  if (loaded === undefined) return 'the koffi package does not load';
  const { koffi, library } = loaded;
  let bpf: Library;
  try {
    bpf = koffi.load(LIBRARY);
  } catch {
    return `${LIBRARY} is not installed`;
  }
  const of = <T>(prototype: string, from = bpf): Call<T> => from.func(prototype) as unknown as Call<T>;
  koffi.struct('PerchRun', RUN_FIELDS);
  // It prints what the kernel says of programs that do not load; the error number is enough for us.
  of<Pointer>('void *libbpf_set_print(void *print)')(null);
  return {
    koffi,
    calls: {
      openFile: of('void *bpf_object__open_file(const char *path, void *options)'),
      load: of('int bpf_object__load(void *object)'),
      closeObject: of('void bpf_object__close(void *object)'),
      findMap: of('void *bpf_object__find_map_by_name(void *object, const char *name)'),
      setMaxEntries: of('int bpf_map__set_max_entries(void *map, uint32_t count)'),
      mapFd: of('int bpf_map__fd(void *map)'),
      valueSize: of('uint32_t bpf_map__value_size(void *map)'),
      findProgram: of('void *bpf_object__find_program_by_name(void *object, const char *name)'),
      setAutoload: of('int bpf_program__set_autoload(void *program, bool load)'),
      findKernelType: of('int libbpf_find_vmlinux_btf_id(const char *name, int kind)'),
      programFd: of('int bpf_program__fd(void *program)'),
      attach: of('void *bpf_program__attach(void *program)'),
      destroyLink: of('int bpf_link__destroy(void *link)'),
      update: of('int bpf_map_update_elem(int map, const uint8_t *key, const uint8_t *value, uint64_t flags)'),
      remove: of('int bpf_map_delete_elem(int map, const uint8_t *key)'),
      run: of('int bpf_prog_test_run_opts(int program, PerchRun *options)'),
      newRing: of('void *ring_buffer__new(int map, void *heard, void *context, void *options)'),
      consume: of('int ring_buffer__consume(void *ring)'),
      freeRing: of('void ring_buffer__free(void *ring)'),
      mmap: of('void *mmap(void *address, size_t size, int protection, int flags, int map, long offset)', library),
      munmap: of('int munmap(void *address, size_t size)', library),
    },
  };
}

/** A program that is loaded where the kernel has the tracepoint that it hangs on, and left out elsewhere. */
export interface OptionalProgram {
  readonly name: string;
  readonly target: string;
}

/** Of enum bpf_attach_type. */
const TRACEPOINT = 23;

let bound: Bound | string | undefined;

/** '' where libbpf can be called, else why not. */
export function libbpfMissing(): string {
  bound ??= bind();
  return typeof bound === 'string' ? bound : '';
}

export class BpfObject {
  readonly #calls: Calls;
  readonly #koffi: Koffi;
  readonly #object: Pointer;
  readonly #maps = new Map<string, number>();
  readonly #programs = new Map<string, number>();
  readonly #links = new Map<string, Pointer>();
  #shared: { readonly address: Pointer; readonly bytes: number } | null = null;
  #bell: Bell | null = null;

  private constructor({ koffi, calls }: Bound, object: Pointer) {
    this.#koffi = koffi;
    this.#calls = calls;
    this.#object = object;
  }

  /**
   * `sizes`: how many entries each map has. `optional`: programs that are loaded only when they are asked for. Answers why it
   * does not load, where it does not.
   */
  static load(
    file: string,
    sizes: Readonly<Record<string, number>>,
    optional: readonly string[] = [],
  ): BpfObject | string {
    bound ??= bind();
    if (typeof bound === 'string') return bound;
    const { calls, koffi } = bound;
    const opened = calls.openFile(file, null);
    if (opened === null) return `${file} cannot be opened: error ${koffi.errno()}`;
    for (const [name, count] of Object.entries(sizes)) calls.setMaxEntries(calls.findMap(opened, name), count);
    for (const name of optional) calls.setAutoload(calls.findProgram(opened, name), true);
    const result = calls.load(opened);
    if (result !== 0) {
      calls.closeObject(opened);
      return `the kernel does not load ${file}: error ${-result}`;
    }
    return new BpfObject(bound, opened);
  }

  /** Those of them that this kernel can have. */
  static known(programs: readonly OptionalProgram[]): readonly string[] {
    bound ??= bind();
    if (typeof bound === 'string') return [];
    const { calls } = bound;
    return programs.filter(({ target }) => calls.findKernelType(target, TRACEPOINT) > 0).map(({ name }) => name);
  }

  /** '' or why one of them does not attach. */
  attach(programs: readonly string[]): string {
    for (const name of programs) {
      const link = this.#calls.attach(this.#calls.findProgram(this.#object, name));
      if (link === null) return `${name} does not attach: error ${this.#koffi.errno()}`;
      this.#links.set(name, link);
    }
    return '';
  }

  detach(name: string): void {
    const link = this.#links.get(name);
    if (link === undefined) return;
    this.#calls.destroyLink(link);
    this.#links.delete(name);
  }

  /** False where the map is full, or the kernel refuses. */
  update(map: string, key: Uint8Array, value: Uint8Array): boolean {
    return this.#calls.update(this.#map(map), key, value, BPF_ANY) === 0;
  }

  remove(map: string, key: Uint8Array): void {
    this.#calls.remove(this.#map(map), key);
  }

  /** Runs a program of the type syscall. */
  run(program: string, context: Uint8Array): boolean {
    let descriptor = this.#programs.get(program);
    if (descriptor === undefined) {
      descriptor = this.#calls.programFd(this.#calls.findProgram(this.#object, program));
      this.#programs.set(program, descriptor);
    }
    return this.#calls.run(descriptor, { ...RUN, context, contextBytes: context.length }) === 0;
  }

  /** The entries of an array map that can be mapped, once. What is read there is what the kernel has now. */
  share(map: string, count: number, entryBytes: number): ArrayBuffer | string {
    const madeBytes = this.#calls.valueSize(this.#calls.findMap(this.#object, map));
    if (madeBytes !== entryBytes) {
      return `${map} has entries of ${madeBytes} bytes, not ${entryBytes}: ${STALE}`;
    }
    const bytes = count * entryBytes;
    const address = this.#calls.mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED, this.#map(map), 0);
    if (address === null || address === MAP_FAILED) return `${map} cannot be mapped: error ${this.#koffi.errno()}`;
    this.#shared = { address, bytes };
    return this.#koffi.view(address, bytes);
  }

  /**
   * From now on the numbers that are sent through the ring buffer are heard, at the end of a turn of the event loop: what could be read in
   * that turn has been. Once for an object. '' or why it cannot be.
   */
  hear(map: string, listener: BellListener): string {
    if (this.#calls.findMap(this.#object, map) === null) return `there is no ${map}: ${STALE}`;
    const bell = Bell.open(this.#koffi, this.#calls, this.#map(map), listener);
    if (typeof bell === 'string') return bell;
    this.#bell = bell;
    return '';
  }

  /** Nobody may look at what was shared any more. */
  close(): void {
    for (const link of this.#links.values()) this.#calls.destroyLink(link);
    this.#bell?.close();
    if (this.#shared !== null) this.#calls.munmap(this.#shared.address, this.#shared.bytes);
    this.#calls.closeObject(this.#object);
  }

  #map(name: string): number {
    let descriptor = this.#maps.get(name);
    if (descriptor === undefined) {
      descriptor = this.#calls.mapFd(this.#calls.findMap(this.#object, name));
      this.#maps.set(name, descriptor);
    }
    return descriptor;
  }
}
