import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Route } from '../../../src/worker/network/links.ts';
import { openNetwork } from '../../../src/worker/network/index.ts';
import { attribute, attributesOf, nest, text, textOf, u32 } from '../../../src/worker/network/netlink.ts';
import {
  addressText,
  chooseTag,
  isLinkIndex,
  LINK_COUNT_MAX,
  linkOf,
  overlaps,
  parseRange,
  type Range,
  rangeOf,
  tableName,
  TAG_COUNT,
  tagOf,
} from '../../../src/worker/network/numbering.ts';
import { NumberPool } from '../../../src/worker/network/pool.ts';
import { readResolver, resolvConfOf } from '../../../src/worker/network/resolver.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { ownName } from '../../../src/worker/sandbox/identity.ts';

const tags = fc.integer({ min: 0, max: TAG_COUNT - 1 });
const numbers = fc.integer({ min: 1, max: LINK_COUNT_MAX });

describe('numbering', () => {
  it('gives every link of every network a name, an index and an address of its own', () => {
    fc.assert(
      fc.property(tags, numbers, tags, numbers, (tag, number, otherTag, otherNumber) => {
        const one = linkOf(tag, number);
        const other = linkOf(otherTag, otherNumber);
        const same = tag === otherTag && number === otherNumber;
        for (const key of ['name', 'index', 'address'] as const) assert.equal(one[key] === other[key], same);
        assert.ok(Buffer.byteLength(one.name) <= 15 && one.index < 2 ** 31 && isLinkIndex(one.index));
        assert.ok(overlaps(rangeOf(tag), { address: one.address, length: 32 }));
        assert.equal(tagOf(tableName(ownName(), tag)), tag);
      }),
    );
  });

  it('has room for every instance of a worker', () => {
    assert.ok(LINK_COUNT_MAX >= LIMITS.instanceCountMax);
  });

  it('chooses the first range that nothing uses', () => {
    const lengths = fc.integer({ min: 10, max: 32 });
    const addresses = fc.oneof(fc.integer({ min: 0x0ac0_0000, max: 0x0aff_ffff }), fc.nat(0xffff_ffff));
    const routes = fc.array(fc.record({ address: addresses, length: lengths }), { maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(routes, fc.uniqueArray(tags), (used, taken) => {
        const tag = chooseTag(
          used.map((each) => ({ ...each, hops: [], unicast: true, local: false })),
          new Set(taken),
        );
        const isFree = (each: number): boolean =>
          !taken.includes(each) && !used.some((range: Range) => overlaps(range, rangeOf(each)));
        assert.equal(tag, Array.from({ length: TAG_COUNT }, (_, each) => each).find(isFree));
      }),
    );
  });

  it('says so when every range is in use, and does not count the default route', () => {
    const route = (range: string): Route => {
      return { ...(parseRange(range) as Range), hops: [], unicast: true, local: false };
    };
    assert.equal(chooseTag([route('0.0.0.0/0')], new Set()), 0);
    assert.equal(chooseTag([route('10.0.0.0/8')], new Set()), 1024);
    assert.equal(chooseTag([route('10.0.0.0/8'), route('100.64.0.0/10')], new Set()), undefined);
  });

  it('reads addresses and ranges, and nothing else', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (address) => {
        assert.deepEqual(parseRange(addressText(address)), { address, length: 32 });
      }),
    );
    for (const wrong of ['', '1.2.3', '256.1.1.1', '1.2.3.4/33', '::1', '1.2.3.4/', 'localhost']) {
      assert.equal(parseRange(wrong), undefined, wrong);
    }
  });
});

describe('NumberPool', () => {
  it('gives each number to one at a time, the longest unused first, up to its limit', () => {
    const commands = fc.array(fc.nat(3), { size: 'max', maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.nat(6), commands, (count, wantedMax, picks) => {
        const takenMax = Math.min(count, wantedMax);
        const pool = new NumberPool(count, takenMax);
        const free = Array.from({ length: count }, (_, index) => index + 1);
        const taken: number[] = [];
        for (const pick of picks) {
          if (pick < 2) {
            const expected = taken.length < takenMax ? free.shift() : undefined;
            assert.equal(pool.take(), expected);
            if (expected !== undefined) taken.push(expected);
          } else if (taken.length > 0) {
            const [back] = taken.splice(pick % taken.length, 1) as [number];
            pool.give(back);
            free.push(back);
          }
        }
      }),
    );
  });
});

describe('netlink attributes', () => {
  it('come out as they went in', () => {
    const body = fc.uint8Array({ maxLength: 40, size: 'max' }).map((bytes) => Buffer.from(bytes));
    const entries = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), body), { selector: ([type]) => type });
    fc.assert(
      fc.property(entries, (list) => {
        const header = Buffer.alloc(4);
        const message = Buffer.concat([header, ...list.map(([type, bytes]) => attribute(type, bytes))]);
        assert.equal(message.length % 4, 0);
        const found = attributesOf(message, header.length);
        assert.deepEqual(new Map([...found].map(([type, bytes]) => [type, Buffer.from(bytes)])), new Map(list));
      }),
    );
    const nested = attributesOf(nest(7, attribute(1, text('veth')), attribute(2, u32(9))), 0).get(7) as Buffer;
    assert.equal(textOf(attributesOf(nested, 0).get(1)), 'veth');
  });
});

describe('the name servers of an instance', () => {
  const resolverOf = (...texts: string[]): string => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'perch-test-'));
    const files = texts.map((content, index) => {
      const file = path.join(folder, String(index));
      writeFileSync(file, content);
      return file;
    });
    const resolver = readResolver(new Set(['192.0.2.2']), [...files, path.join(folder, 'none')]);
    rmSync(folder, { recursive: true });
    return resolvConfOf(resolver);
  };

  it('are those of the server', () => {
    const content = '# by hand\nnameserver 192.0.2.53\nnameserver 9.9.9.9\nsearch example.org\noptions ndots:2\n';
    const wanted = 'nameserver 192.0.2.53\nnameserver 9.9.9.9\nsearch example.org\noptions ndots:2\n';
    assert.equal(resolverOf(content), wanted);
  });

  it('are those that systemd-resolved asks where the server asks that', () => {
    const wanted = 'nameserver 192.0.2.53\nsearch lan\n';
    assert.equal(resolverOf('nameserver 127.0.0.53\noptions edns0\n', 'nameserver 192.0.2.53\nsearch lan\n'), wanted);
  });

  it('are none on the server itself, and none that IPv6 leads to', () => {
    assert.equal(resolverOf('nameserver 192.0.2.2\nnameserver ::1\nnameserver 2001:db8::53\nnameserver 0.0.0.0\n'), '');
    assert.equal(
      resolverOf('nameserver 192.0.2.2\nnameserver 2001:db8::53\nnameserver 192.0.2.3\n'),
      'nameserver 192.0.2.3\n',
    );
  });

  it('are no more than the C library asks', () => {
    const lines = [1, 2, 3, 4].map((each) => `nameserver 192.0.2.10${each}\n`);
    assert.equal(resolverOf(lines.join('')), lines.slice(0, 3).join(''));
  });
});

describe('without root', { skip: process.getuid?.() === 0 ? 'runs as root' : false }, () => {
  it('says why nothing can be connected', () => {
    const network = openNetwork({ connectionCountMax: 1, log: { warn: () => {} } });
    assert.match(network.fault('outbound'), /root/);
    assert.match(network.connect(0, 'outbound') as string, /^not connected: .*root/);
    assert.equal(network.check()[0]?.ok, false);
    network.close();
  });
});
