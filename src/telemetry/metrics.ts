/**
 * Every metric of Perch, declared once as data. docs/METRICS.md is checked against this table.
 *
 * Counters and histograms are kept here and fed by the shells; gauges, and counters that a machine keeps for itself,
 * are read when somebody scrapes. Names follow Prometheus' conventions: base units, `_total` for counters.
 */
import { Histogram } from '../base/histogram.ts';

interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Name of the one label, where there is one. */
  readonly label?: string;
}

export const METRICS = {
  perch_invocations_total: { type: 'counter', help: 'Invocations that came to a result, by result.', label: 'result' },
  perch_invocations_refused_total: {
    type: 'counter',
    help: 'Invocations refused, by reason. `late`: they waited too long for a core while more came than the cores can serve.',
    label: 'reason',
  },
  perch_invocation_starts_total: {
    type: 'counter',
    help: 'Invocations that got an instance, by start.',
    label: 'start',
  },
  perch_queue_seconds: { type: 'histogram', help: 'From acceptance of an invocation to the grant of its core.' },
  perch_start_seconds: { type: 'histogram', help: 'From grant to the start of the handler, by start.', label: 'start' },
  perch_run_seconds: { type: 'histogram', help: 'Run time of the handler.' },
  perch_total_seconds: { type: 'histogram', help: 'From acceptance of an invocation to its result.' },
  perch_cores: { type: 'gauge', help: 'Cores of the platform, by state.', label: 'state' },
  perch_extra_seats: {
    type: 'gauge',
    help: 'Seats beside those of the cores, where cores are shared, by state.',
    label: 'state',
  },
  perch_queue_length: { type: 'gauge', help: 'Invocations that wait for a core.' },
  perch_scheduler_grants_total: { type: 'counter', help: 'Cores granted, by the way they were found.', label: 'path' },
  perch_scheduler_stale_hints_total: {
    type: 'counter',
    help: 'References that named a core that could not be used, by list.',
    label: 'list',
  },
  perch_scheduler_overtakes_total: {
    type: 'counter',
    help: 'Times a request passed an older one that waits for memory.',
  },
  perch_scheduler_memory_blocked_total: {
    type: 'counter',
    help: 'Requests that waited beside an idle core for want of memory.',
  },
  perch_scheduler_no_memory_total: { type: 'counter', help: 'Leases that the agent refused for memory.' },
  perch_cluster_workers: { type: 'gauge', help: 'Workers of the cluster, by state.', label: 'state' },
  perch_cluster_gateways: { type: 'gauge', help: 'Gateways that have joined the cluster.' },
  perch_cluster_connections_closed_total: {
    type: 'counter',
    help: 'Connections of nodes that have ended, by reason.',
    label: 'reason',
  },
  perch_instances: { type: 'gauge', help: 'Instances that live, by state.', label: 'state' },
  perch_instances_memory_bytes: { type: 'gauge', help: 'Memory that the living instances may use together.' },
  perch_instances_started_total: { type: 'counter', help: 'Instances started.' },
  perch_instances_ended_total: { type: 'counter', help: 'Instances ended, by reason.', label: 'reason' },
  perch_copies_made_total: { type: 'counter', help: 'Copies forked from zygotes.' },
  perch_copy_seconds: { type: 'histogram', help: 'From fork to ready of a copy for one invocation.' },
  perch_exit_seconds: { type: 'histogram', help: 'From the answer of such a copy until it is gone and reaped.' },
  perch_cells: { type: 'gauge', help: 'Stem cells that wait for a function, by runtime.', label: 'runtime' },
  perch_cells_started_total: { type: 'counter', help: 'Stem cells started.' },
  perch_code_cache_bytes: { type: 'gauge', help: 'Disk that unpacked code takes.' },
  perch_code_cache_acquired_total: {
    type: 'counter',
    help: 'Times an instance needed unpacked code, by whether it was there.',
    label: 'result',
  },
  perch_code_cache_unpacked_total: { type: 'counter', help: 'Packages unpacked, at their upload or since.' },
  perch_code_cache_evicted_total: {
    type: 'counter',
    help: 'Unpacked packages and merged layers that went to make room.',
  },
  perch_sharing_guests_total: {
    type: 'counter',
    help: 'Invocations that began beside others on a core: while its holder slept, or as more are admitted.',
  },
  perch_sharing_head_starts_total: {
    type: 'counter',
    help: 'Invocations that began in real time for some milliseconds, since others were on their core.',
  },
  perch_sharing_residents: {
    type: 'gauge',
    help: 'Invocations that have a place where cores are shared, by what they do.',
    label: 'state',
  },
  perch_sharing_places_total: {
    type: 'counter',
    help: 'Times a running invocation was given another core or priority, by priority.',
    label: 'level',
  },
  perch_sharing_freezes_total: {
    type: 'counter',
    help: 'Times a running invocation was frozen, since it polls.',
  },
  perch_sharing_thaws_total: {
    type: 'counter',
    help: 'Times one that was frozen was let go on, by why.',
    label: 'why',
  },
  perch_sharing_hints_total: {
    type: 'counter',
    help: 'What functions said of their own sleep, by what was made of it.',
    label: 'outcome',
  },
  perch_sharing_waited_seconds_total: {
    type: 'counter',
    help: 'Time that running invocations wanted a core and had none, seconds.',
  },
  perch_pins_total: { type: 'counter', help: 'Times an instance was moved to another core.' },
  perch_log_bytes_total: { type: 'counter', help: 'Log output of functions, bytes.' },
  perch_log_dropped_bytes_total: { type: 'counter', help: 'Log output of functions beyond its limit, bytes.' },
  perch_gateway_requests: {
    type: 'gauge',
    help: 'Requests of a gateway in a cluster, by state.',
    label: 'state',
  },
  perch_gateway_workers: {
    type: 'gauge',
    help: 'Workers that the scheduler has told a gateway of, by whether it has a connection.',
    label: 'connection',
  },
  perch_gateway_scheduler_connected: { type: 'gauge', help: '1: a gateway has a connection to the scheduler.' },
  perch_gateway_worker_lost_total: {
    type: 'counter',
    help: 'Invocations whose worker was lost while they ran.',
  },
  perch_gateway_took_over_total: {
    type: 'counter',
    help: 'Steps of chains that had the core of the step before them without the scheduler being asked.',
  },
  perch_gateway_unstarted_total: {
    type: 'counter',
    help: 'Grants that a gateway could not use, by why.',
    label: 'why',
  },
  perch_worker_joined: { type: 'gauge', help: 'Whether this worker is connected to its scheduler: 1, or 0.' },
  perch_worker_gateways: { type: 'gauge', help: 'Gateways that are connected to this worker.' },
  perch_worker_refused_total: {
    type: 'counter',
    help: 'Invocations that this worker did not take, by reason.',
    label: 'reason',
  },
  perch_async_queue_length: { type: 'gauge', help: 'Asynchronous invocations that are not done.' },
  perch_async_retries_total: {
    type: 'counter',
    help: 'Asynchronous invocations put back, by reason: `error`, `lost` (its worker was), `refused`.',
    label: 'reason',
  },
  perch_async_dropped_total: {
    type: 'counter',
    help: 'Asynchronous invocations given up, by reason: `retries-exhausted`, `age-exceeded`, `function-deleted`.',
    label: 'reason',
  },
  perch_chain_invocations_total: {
    type: 'counter',
    help: 'Runs of chains that came to an end, by outcome: `response`, `error`, `refused`, `withdrawn`. Each try of an asynchronous one that is put back counts; `Event` and `DryRun` that are refused at once do not.',
    label: 'outcome',
  },
  perch_chain_steps_total: { type: 'counter', help: 'Steps of chains that have run.' },
  perch_chain_between_seconds: {
    type: 'histogram',
    help: "From the result of a chain's step to the start of the handler of the next.",
  },
  perch_store_readers: { type: 'gauge', help: 'Gateways that read all functions from the store of this node.' },
  perch_store_connected: { type: 'gauge', help: 'Whether the changes of the store come in at this gateway: 1 or 0.' },
  perch_code_fetched_total: { type: 'counter', help: 'Zips that a worker fetched, by where from.', label: 'from' },
  perch_code_lies_total: {
    type: 'counter',
    help: 'Bytes that another worker gave for a zip and that were not what it is named.',
  },
  perch_log_unsent_dropped_bytes_total: {
    type: 'counter',
    help: 'Log output dropped since the node with the store could not be reached for too long, bytes.',
  },
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;
type NameOf<Type> = { [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never }[MetricName];

/** A gauge's value, or one for each value of its label; read at a scrape. */
type Reading = () => number | Readonly<Record<string, number>>;

export class Metrics {
  readonly #counters = new Map<string, Map<string, Counter>>();
  readonly #histograms = new Map<string, Map<string, Histogram>>();
  readonly #readings = new Map<string, Reading>();

  /** The handle is kept by its user: counting is one addition, without a look-up. */
  counter(name: NameOf<'counter'>, label = ''): Counter {
    return entry(this.#counters, name, label, () => new Counter());
  }

  histogram(name: NameOf<'histogram'>, label = ''): Histogram {
    return entry(this.#histograms, name, label, () => new Histogram());
  }

  read(name: NameOf<'gauge' | 'counter'>, reading: Reading): void {
    this.#readings.set(name, reading);
  }

  /** Prometheus' text format, version 0.0.4. */
  text(): string {
    const lines: string[] = [];
    for (const [name, spec] of Object.entries<MetricSpec>(METRICS)) {
      lines.push(`# HELP ${name} ${spec.help}`, `# TYPE ${name} ${spec.type}`);
      const label = spec.label ?? '';
      for (const [value, counter] of this.#counters.get(name) ?? [])
        lines.push(sample(name, label, value, counter.value));
      for (const [value, histogram] of this.#histograms.get(name) ?? [])
        lines.push(...buckets(name, label, value, histogram));
      const reading = this.#readings.get(name)?.();
      if (typeof reading === 'number') lines.push(sample(name, '', '', reading));
      else for (const [value, number] of Object.entries(reading ?? {})) lines.push(sample(name, label, value, number));
    }
    return lines.join('\n') + '\n';
  }
}

export class Counter {
  value = 0;

  add(count = 1): void {
    this.value += count;
  }
}

function entry<T>(table: Map<string, Map<string, T>>, name: string, label: string, make: () => T): T {
  let byLabel = table.get(name);
  if (byLabel === undefined) table.set(name, (byLabel = new Map()));
  let value = byLabel.get(label);
  if (value === undefined) byLabel.set(label, (value = make()));
  return value;
}

function sample(name: string, label: string, value: string, number: number): string {
  return label === '' ? `${name} ${number}` : `${name}{${label}="${value}"} ${number}`;
}

function buckets(name: string, label: string, value: string, histogram: Histogram): string[] {
  const prefix = label === '' ? '' : `${label}="${value}",`;
  const suffix = label === '' ? '' : `{${label}="${value}"}`;
  const lines: string[] = [];
  let below = 0;
  for (let index = 0; index < Histogram.bucketCount; index++) {
    below += histogram.countIn(index);
    // Below 16 µs nothing is measured, and every second bucket is enough to read a latency from.
    if (index < 4 || (index & 1) === 1) continue;
    lines.push(`${name}_bucket{${prefix}le="${Histogram.boundUs(index) / 1e6}"} ${below}`);
  }
  lines.push(`${name}_bucket{${prefix}le="+Inf"} ${histogram.count}`);
  lines.push(`${name}_sum${suffix} ${histogram.sumUs / 1e6}`, `${name}_count${suffix} ${histogram.count}`);
  return lines;
}
