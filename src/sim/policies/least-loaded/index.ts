/** Each invocation goes to a server that has the fewest, as far as whoever decides knows; of several one at random. */
import type { PolicyKind } from '../../policy.ts';
import { SHARING_OPTIONS, serversFor } from '../../servers/disciplines.ts';
import { FRONTS_OPTION } from '../../servers/fronts.ts';
import { CentralPolicy } from './central.ts';
import { FrontsPolicy } from './fronts.ts';

export const leastLoaded: PolicyKind = {
  name: 'least-loaded',
  summary: 'the server with the fewest invocations, as known to one scheduler or to each gateway',
  source:
    'Winston: Optimality of the Shortest Line Discipline, Journal of Applied Probability 14(1), 1977; ' +
    'Mitzenmacher: How Useful Is Old Information?, IEEE TPDS 11(1), 2000 (reports)',
  options: {
    view: {
      help: 'who knows what: one central scheduler; each gateway what it sent itself; each gateway what servers report',
      default: 'central',
      choices: ['central', 'own', 'reports'],
    },
    report: { help: 'time between two reports of a server (view=reports), ms', default: 100, min: 0.1, max: 1e6 },
    fronts: FRONTS_OPTION,
    ...SHARING_OPTIONS,
  },
  make: (world, options) => {
    if (options['view'] !== 'central') return new FrontsPolicy(world, options);
    return new CentralPolicy(world, {
      reportUs: 0,
      choose: (counts, random) => counts.draw(random),
      servers: (ended) => serversFor(options, world, ended),
    });
  },
};
