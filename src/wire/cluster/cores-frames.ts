/**
 * What the scheduler grants, and a worker holds, of several cores: the frame of one core, whose core is the lead here, and behind
 * it all cores as bits of the word of 32 that the lead is in. Registers, as in small-frames.ts.
 *
 *   0           4         8                   16        20                   32
 *   ┌───────────┬─────────┬───────────────────┬─────────┬────────────────────┐
 *   │ kind      │ as in GRANT, or HELD        │ mask    │ 0                  │
 *   │ u8        │                             │ 32 bits │                    │
 *   └───────────┴─────────┴───────────────────┴─────────┴────────────────────┘
 *
 * A frame of their own, and not a field more: nearly all leases are of one core.
 */
import { isSeveral } from '../../base/core-mask.ts';
import { ClusterKind } from '../cluster-frame.ts';
import { GrantFrame, LeaseFrame } from './small-frames.ts';
import type { Span } from './span.ts';

const MASK_AT = 16;
const END = 32;

export class GrantCoresFrame extends GrantFrame {
  /** As a signed integer; two bits or more, of which the lowest is that of `core`. */
  mask = 0;

  constructor() {
    super(ClusterKind.grantCores);
  }

  override read(span: Span, at: number): boolean {
    if (!super.read(span, at)) return false;
    this.mask = readMask(span, at);
    return isSeveral(this.core, this.mask) && hasNoMore(span, at);
  }

  override write(span: Span, at: number): void {
    super.write(span, at);
    writeMask(span, at, this.mask);
  }
}

export class HeldCoresFrame extends LeaseFrame {
  /** As in `GrantCoresFrame`. */
  mask = 0;

  constructor() {
    super(ClusterKind.heldCores);
  }

  override read(span: Span, at: number): boolean {
    if (!super.read(span, at)) return false;
    this.mask = readMask(span, at);
    return isSeveral(this.core, this.mask) && hasNoMore(span, at);
  }

  override write(span: Span, at: number): void {
    super.write(span, at);
    writeMask(span, at, this.mask);
  }
}

function readMask({ view }: Span, at: number): number {
  return view.getInt32(at + MASK_AT, true);
}

function hasNoMore(span: Span, at: number): boolean {
  return span.isZero(at + MASK_AT + 4, at + END);
}

function writeMask({ view }: Span, at: number, mask: number): void {
  view.setInt32(at + MASK_AT, mask, true);
  for (let zero = at + MASK_AT + 4; zero < at + END; zero += 4) view.setInt32(zero, 0, true);
}
