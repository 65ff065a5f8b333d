/** Carries out what goes wrong (fault.ts), and mends all of it. */
import type { Fault, FaultKind } from './fault.ts';
import { SCHEDULER } from './scheduler-host.ts';
import type { FuzzWorld } from './world.ts';

const NO_LIMIT = -1;

export function applyFault(world: FuzzWorld, fault: Fault): void {
  world.history.add(() => `fault: ${fault.kind} ${fault.a} ${fault.b}`);
  world.lastFaultUs = world.time.nowUs() + fault.forUs;
  APPLIED[fault.kind](world, fault);
}

const APPLIED: Readonly<Record<FaultKind, (world: FuzzWorld, fault: Fault) => void>> = {
  cut: ({ net, heardUs }, { a }) => {
    const connections = net.connections();
    if (connections.length > 0) net.cut(connections[a % connections.length]!, heardUs);
  },
  partition: (world, { a, b, forUs }) => {
    const nodes = nodesOf(world);
    const one = nodes[a % nodes.length]!;
    const other = nodes[b % nodes.length]!;
    if (one === other) return;
    world.net.setApart(one, other, true, world.heardUs);
    world.time.later(forUs, () => world.net.setApart(one, other, false, 0));
  },
  'worker-dies': (world, { a, forUs }) => {
    const at = a % world.workers.length;
    if (world.workers[at] === null) return;
    world.killWorker(at);
    world.time.later(forUs, () => world.workers[at] ?? world.openWorker(at));
  },
  'worker-stops': ({ workers }, { a }) => workers[a % workers.length]?.stop(),
  'gateway-dies': (world, { a, forUs }) => {
    const at = a % world.gateways.length;
    if (world.gateways[at] === null) return;
    world.killGateway(at);
    world.time.later(forUs, () => world.gateways[at] ?? world.openGateway(at));
  },
  // Two that begin within a second have the same epoch, and a clock may go back.
  'scheduler-dies': (world, { b }) => world.replaceScheduler(b < 75 ? 1 : b < 90 ? 0 : -1),
  'two-schedulers': (world, { b, forUs }) => world.addScheduler(b < 75 ? 1 : 0, forUs),
  withdraw: ({ workers, time }, { a, b, forUs }) => {
    const at = a % workers.length;
    const worker = workers[at] ?? null;
    worker?.withdraw(b);
    time.later(forUs, () => {
      if (workers[at] === worker) worker?.withdraw(0);
    });
  },
  limit: ({ gateways, functions }, { a, b }) => {
    const version = b % functions.specs.length;
    gateways[a % gateways.length]?.limit(functions.functionKeyOf(version), (b % 5) + NO_LIMIT);
  },
  provision: ({ gateways, functions }, { a, b }) => {
    gateways[a % gateways.length]?.provision(b % functions.specs.length, b % 4);
  },
  deploy: ({ gateways, functions }, { a, b }) => gateways[a % gateways.length]?.deploy(b % functions.specs.length),
  'instance-dies': ({ workers }, { a, b }) => workers[a % workers.length]?.agent.endNth(b),
};

/** Everybody is there and reaches everybody, all cores are back, and nothing is limited. */
export function heal(world: FuzzWorld): void {
  world.history.add(() => 'all is mended');
  world.net.joinAll();
  for (const [at, worker] of world.workers.entries()) {
    if (worker === null) world.openWorker(at);
    else worker.withdraw(0);
  }
  for (const [at, gateway] of world.gateways.entries()) {
    if (gateway === null) world.openGateway(at);
    // Each says so of each function: what one has limited, another one may say again.
    for (const version of world.functions.specs.keys())
      if (world.lastFaultUs > -Infinity) world.gateways[at]!.limit(world.functions.functionKeyOf(version), NO_LIMIT);
    gateway?.provisionNothing();
  }
}

function nodesOf(world: FuzzWorld): string[] {
  return [
    SCHEDULER,
    ...world.workers.map((_, at) => world.nameOfWorker(at)),
    ...world.gateways.map((_, at) => world.nameOfGateway(at)),
  ];
}
