/**
 * Everything that a network calls its own on the server follows from one number, its tag, so that the tag alone (kept in
 * the name of its nf_tables table) is enough to find and remove what a killed platform left:
 *
 *   tag 0x00a   addresses 10.192.160.0/20, or below 100.64.0.0/10 from tag 1024 on
 *               the group of its links 0x5043000a
 *               links perch00a-1 … perch00a-4095, with kernel indexes 0x1000a001 …
 */
import { isLeftover } from '../sandbox/identity.ts';
import type { LinkSpec, Route } from './links.ts';

const BITS = 12;
/** One link each; number 0 is the gateway's address. */
export const LINK_COUNT_MAX = (1 << BITS) - 1;
const TAGS_PER_BLOCK = 1024;
const BLOCKS = [0x0ac0_0000, 0x6440_0000] as const;
export const TAG_COUNT = TAGS_PER_BLOCK * BLOCKS.length;
const PREFIX_LENGTH = 32 - BITS;
const GROUP_BASE = 0x5043_0000;
const INDEX_BASE = 0x1000_0000;
const TABLE = /^perch-\d+-\d+-\d+-net([0-9a-f]{3})$/;

export interface Range {
  readonly address: number;
  readonly length: number;
}

export function rangeOf(tag: number): Range {
  const block = BLOCKS[Math.floor(tag / TAGS_PER_BLOCK)] ?? 0;
  return { address: block + ((tag % TAGS_PER_BLOCK) << BITS), length: PREFIX_LENGTH };
}

export function groupOf(tag: number): number {
  return GROUP_BASE + tag;
}

export function linkOf(tag: number, number: number): LinkSpec {
  return {
    name: `perch${hex(tag)}-${number}`,
    index: INDEX_BASE + (tag << BITS) + number,
    group: groupOf(tag),
    address: rangeOf(tag).address + number,
  };
}

/** The tag of a kernel index, or undefined where the link is not of Perch. */
export function isLinkIndex(index: number): boolean {
  return index >= INDEX_BASE && index < INDEX_BASE + (TAG_COUNT << BITS);
}

export function tableName(owner: string, tag: number): string {
  return `${owner}-net${hex(tag)}`;
}

/** Undefined where the table is not of Perch. */
export function tagOf(table: string): number | undefined {
  const match = TABLE.exec(table);
  return match === null ? undefined : Number.parseInt(match[1] ?? '', 16);
}

export function isLeftoverTable(table: string): boolean {
  return tagOf(table) !== undefined && isLeftover(table);
}

/** The first whose range nothing on the server uses; the same one every time, so that firewalls can be told of it. */
export function chooseTag(routes: readonly Route[], taken: ReadonlySet<number>): number | undefined {
  const used = routes.filter(({ length }) => length > 0);
  for (let tag = 0; tag < TAG_COUNT; tag++) {
    const range = rangeOf(tag);
    if (!taken.has(tag) && !used.some((route) => overlaps(route, range))) return tag;
  }
  return undefined;
}

export function overlaps(one: Range, other: Range): boolean {
  const length = Math.min(one.length, other.length);
  const bits = length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
  return ((one.address ^ other.address) & bits) === 0;
}

export function addressText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** 192.0.2.7 or 192.0.2.0/24; undefined if it is neither. */
export function parseRange(range: string): Range | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(range);
  if (match === null) return undefined;
  const parts = match.slice(1, 5).map(Number);
  const length = Number(match[5] ?? 32);
  if (parts.some((part) => part > 255) || length > 32) return undefined;
  return { address: parts.reduce((sum, part) => sum * 256 + part, 0), length };
}

function hex(tag: number): string {
  return tag.toString(16).padStart(3, '0');
}
