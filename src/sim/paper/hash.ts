/** One number over many: of the trace hashes of all simulations, in their order. FNV-1a, 64 bits. */
const PRIME = 0x100000001b3n;
const OFFSET = 0xcbf29ce484222325n;

export function hashOf(texts: readonly string[]): string {
  let hash = OFFSET;
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * PRIME);
  }
  return hash.toString(16).padStart(16, '0');
}
