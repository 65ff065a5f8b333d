/** The two pipelines: what their steps are, what they are given, and what has to come out. */
import { createRequire } from 'node:module';
import { largeProgram, smallProgram } from './programs.ts';

export interface PipelineInput {
  /** Chains of one kind do the same work. */
  readonly kind: string;
  readonly body: Buffer;
  /** What the last step has to write. */
  readonly expected: Buffer;
}

export interface Pipeline {
  readonly name: string;
  readonly steps: readonly string[];
  /** Chains have them in turns. Made once: that takes as long as the work itself. */
  inputs(smoke: boolean): readonly PipelineInput[];
}

export const BUILDS = ['block', 'poll'] as const;
export type Build = (typeof BUILDS)[number];
/** Of the functions: `hint` is `poll` that says when it sleeps. */
export const CHAIN_BUILDS = [...BUILDS, 'hint'] as const;

export function functionName(step: string, build: Build | 'hint'): string {
  return `sleepy-${step}-${build}`;
}

interface Image {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

interface Filters {
  readonly FILTERS: Readonly<Record<string, (image: Image) => Image>>;
  fromPpm(bytes: Buffer): Image;
  toPpm(image: Image): Buffer;
}

/** The file that the functions are made of. */
const filters = createRequire(import.meta.url)('./functions/filters.cjs') as Filters;

/** Square images whose raw pixels take 256 KB and 1 MB, as the paper's files did; a smoke run has smaller ones. */
const IMAGE_SIDES = { '256 KB': 295, '1 MB': 591 };
const IMAGE_SIDES_SMOKE = { '12 KB': 64, '27 KB': 96 };

function imageInputs(smoke: boolean): readonly PipelineInput[] {
  return Object.entries(smoke ? IMAGE_SIDES_SMOKE : IMAGE_SIDES).map(([kind, side]) => {
    const body = filters.toPpm(drawImage(side));
    let image = filters.fromPpm(body);
    for (const filter of Object.values(filters.FILTERS)) image = filter(image);
    return { kind, body, expected: filters.toPpm(image) };
  });
}

/** Rings over a gradient, with noise: edges, and nothing that a filter could skip. */
function drawImage(side: number): Image {
  const pixels = new Uint8Array(side * side * 3);
  let noise = 1;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      noise = (Math.imul(noise, 1_103_515_245) + 12_345) >>> 0;
      const ring = Math.floor(Math.hypot(x - side / 2, y - side / 3) / 12) % 2;
      const at = (y * side + x) * 3;
      pixels[at] = (255 * x) / side;
      pixels[at + 1] = (255 * y) / side;
      pixels[at + 2] = 160 * ring + (noise >>> 26);
    }
  }
  return { width: side, height: side, pixels };
}

const LARGE_FUNCTIONS = 220;
const LARGE_FUNCTIONS_SMOKE = 10;

function compileInputs(smoke: boolean): readonly PipelineInput[] {
  const small = smallProgram();
  const large = largeProgram(smoke ? LARGE_FUNCTIONS_SMOKE : LARGE_FUNCTIONS);
  const input = (kind: string, { source, output }: typeof small): PipelineInput => ({
    kind,
    body: Buffer.from(source),
    expected: Buffer.from(output),
  });
  return [input('small', small), input('large', large)];
}

function once<T>(make: (smoke: boolean) => T): (smoke: boolean) => T {
  const made = new Map<boolean, T>();
  return (smoke) => {
    if (!made.has(smoke)) made.set(smoke, make(smoke));
    return made.get(smoke)!;
  };
}

export const PIPELINES: readonly Pipeline[] = [
  { name: 'image', steps: Object.keys(filters.FILTERS), inputs: once(imageInputs) },
  { name: 'compile', steps: ['preprocess', 'assemble', 'link'], inputs: once(compileInputs) },
];
