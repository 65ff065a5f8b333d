/** The sequences of leases, as they stand in frames: 28 bits that wrap. */
const SEQUENCE_MASK = 0x0fffffff;

/** Of two sequences, the later one is less than half the way round ahead. */
export function isAfter(sequence: number, floor: number): boolean {
  const ahead = (sequence - floor) & SEQUENCE_MASK;
  return ahead > 0 && ahead <= SEQUENCE_MASK >>> 1;
}
