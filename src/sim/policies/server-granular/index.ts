/**
 * A central scheduler that assigns invocations to servers, not to cores: by how many each has, as far as its reports say. On the server
 * the kernel shares the cores among all that were sent there. What the first paper argues against (its figure 1a).
 */
import type { PolicyKind } from '../../policy.ts';
import { SHARING_OPTIONS, serversFor } from '../../servers/disciplines.ts';
import { CentralPolicy } from '../least-loaded/central.ts';

export const serverGranular: PolicyKind = {
  name: 'server-granular',
  summary: 'a central scheduler assigns to servers by their number of invocations; their kernels share the cores',
  source:
    'Kaffes, Yadwadkar, Kozyrakis: Centralized Core-granular Scheduling for Serverless Functions, SoCC 2019 (figure 1a); ' +
    'place=pack as Wang, Li, Zhang, Ristenpart, Swift: Peeking Behind the Curtains of Serverless Platforms, USENIX ATC 2018, saw it of AWS Lambda',
  options: {
    place: {
      help: 'the server with the fewest; or the one with the most that has fewer than its slots',
      default: 'spread',
      choices: ['spread', 'pack'],
    },
    slots: {
      help: 'invocations for each core up to which a server is packed; when all have as many, the one with the fewest',
      default: 1,
      min: 0.1,
      max: 100,
    },
    report: { help: 'time between two reports of a server, ms; 0: each end at once', default: 0, min: 0, max: 1e6 },
    ...SHARING_OPTIONS,
  },
  make: (world, options) => {
    const slotCount = Math.max(1, Math.round((options['slots'] as number) * world.cluster.coreCount));
    const isPacked = options['place'] === 'pack';
    return new CentralPolicy(world, {
      reportUs: (options['report'] as number) * 1e3,
      choose: (counts, random) => (isPacked ? counts.drawMostBelow(slotCount, random) : counts.draw(random)),
      servers: (ended) => serversFor(options, world, ended),
    });
  },
};
