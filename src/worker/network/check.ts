/** What `perch doctor` says about the network of instances. */
import type { Finding } from '../sandbox/contract.ts';
import { addressText, rangeOf } from './numbering.ts';
import { type Outbound, trackedConnectionsMax } from './outbound.ts';

/** Below it, one busy server fills the table. */
const TRACKED_CONNECTIONS_ENOUGH = 65_536;

/** Of an open network, or of none and why. */
export function findingsOf(outbound: Outbound | string): readonly Finding[] {
  if (typeof outbound === 'string') {
    const fix = 'Functions with the network policy outbound do not start. Mend it, or give them another policy.';
    return [{ topic: 'network', ok: false, detail: outbound, fix }];
  }
  return [wayOut(outbound), firewalls(outbound), nameServers(outbound), connections()];
}

function wayOut(outbound: Outbound): Finding {
  const { address, length } = rangeOf(outbound.tag);
  const names = outbound.uplinks.map(({ name }) => name);
  const range = `${addressText(address)}/${length}`;
  const ok = names.length > 0;
  const detail = ok ? `instances in ${range} leave by ${names.join(', ')}` : 'no interface leads beyond this server';
  return {
    topic: 'network',
    ok,
    detail,
    fix: ok ? '' : 'Give the server a default route; Perch notices within seconds.',
  };
}

function firewalls(outbound: Outbound): Finding {
  const topic = 'network: other firewalls';
  const chains = outbound.firewall.droppingChains();
  if (chains.length === 0) return { topic, ok: true, detail: 'none drops what is forwarded', fix: '' };
  const chain = chains.some((name) => name.startsWith('ip filter')) ? 'FORWARD' : chains.join(', ');
  return {
    topic,
    ok: false,
    detail: `${chains.join(', ')} drops what it does not know, unless a rule lets instances through`,
    fix:
      `Let them through, in ${chain} (Docker: DOCKER-USER): iptables -I FORWARD -i 'perch+' -j ACCEPT; ` +
      `iptables -I FORWARD -o 'perch+' -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT. ` +
      `In nft: iifname "perch*" accept; oifname "perch*" ct state established,related accept.`,
  };
}

function nameServers(outbound: Outbound): Finding {
  const { nameservers } = outbound.resolver;
  const ok = nameservers.length > 0;
  const detail = ok ? nameservers.join(', ') : 'the name servers of this server are its own, or IPv6: out of reach';
  const fix = ok ? '' : 'Name an IPv4 server beyond this one in /etc/resolv.conf, or let systemd-resolved do so.';
  return { topic: 'network: name servers', ok, detail, fix };
}

function connections(): Finding {
  const max = trackedConnectionsMax();
  const ok = max >= TRACKED_CONNECTIONS_ENOUGH;
  const fix = ok ? '' : `Raise it: sysctl net.netfilter.nf_conntrack_max=${TRACKED_CONNECTIONS_ENOUGH * 4}`;
  return { topic: 'network: tracked connections', ok, detail: `at most ${max}`, fix };
}
