/**
 * Exponential random numbers from 32 random bits, a table and, in 99 of 100 cases, one multiplication: the area under exp(-x) is cut into 256 layers of
 * equal area, of which one is drawn and a place in it. A logarithm takes as long as all else that an arrival costs.
 *
 * G. Marsaglia, W. W. Tsang: The Ziggurat Method for Generating Random Variables, Journal of Statistical Software 5 (2000).
 */
const LAYER_COUNT = 256;
/** Where the lowest layer's tail begins, and the area of each layer. */
const TAIL = 7.697117470131487;
const AREA = 3.949659822581572e-3;
const BITS = 2 ** 32;

/** By layer: below this a draw lies under the curve whatever its height; what a draw is multiplied with; the curve's height at the layer's edge. */
const inside = new Float64Array(LAYER_COUNT);
const widths = new Float64Array(LAYER_COUNT);
const heights = new Float64Array(LAYER_COUNT);

fill();

interface Bits {
  int32(): number;
  unit(): number;
}

/** Mean 1. */
export function exponentialOf(bits: Bits): number {
  for (;;) {
    const draw = bits.int32() >>> 0;
    const layer = draw & (LAYER_COUNT - 1);
    const x = draw * widths[layer]!;
    if (draw < inside[layer]!) return x;
    if (layer === 0) return TAIL - Math.log1p(-bits.unit());
    const height = heights[layer]! + bits.unit() * (heights[layer - 1]! - heights[layer]!);
    if (height < Math.exp(-x)) return x;
  }
}

function fill(): void {
  let edge = TAIL;
  let above = TAIL;
  const base = AREA / Math.exp(-TAIL);
  inside[0] = (TAIL / base) * BITS;
  inside[1] = 0;
  widths[0] = base / BITS;
  widths[LAYER_COUNT - 1] = TAIL / BITS;
  heights[0] = 1;
  heights[LAYER_COUNT - 1] = Math.exp(-TAIL);
  for (let layer = LAYER_COUNT - 2; layer >= 1; layer--) {
    edge = -Math.log(AREA / edge + Math.exp(-edge));
    inside[layer + 1] = (edge / above) * BITS;
    above = edge;
    heights[layer] = Math.exp(-edge);
    widths[layer] = edge / BITS;
  }
}
