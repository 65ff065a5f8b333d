/** What the code cache counts, as metrics: read when somebody scrapes. */
import type { Metrics } from '../../telemetry/metrics.ts';
import type { CodeCache } from './code-cache.ts';

export function codeCacheMetrics(cache: CodeCache, metrics: Metrics): void {
  const { counts } = cache;
  metrics.read('perch_code_cache_bytes', () => cache.bytes);
  metrics.read('perch_code_cache_acquired_total', () => ({ hit: counts.hitCount, miss: counts.missCount }));
  metrics.read('perch_code_cache_unpacked_total', () => counts.unpackCount);
  metrics.read('perch_code_cache_evicted_total', () => counts.evictedCount);
}
