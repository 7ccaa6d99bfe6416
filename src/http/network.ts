import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Addresses that no router of the internet passes on: RFC 1918, 3927, 4193. */
const HOME = new BlockList();
HOME.addSubnet('10.0.0.0', 8);
HOME.addSubnet('172.16.0.0', 12);
HOME.addSubnet('192.168.0.0', 16);
HOME.addSubnet('169.254.0.0', 16);
HOME.addSubnet('fc00::', 7, 'ipv6');
/** Bridges of containers and virtual machines: nobody of the house is there. */
const NOT_HOME = /^(docker|br-|veth|virbr|lxc|podman|cni)/;

export function isHomeAddress(address: string): boolean {
  return HOME.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

/** This machine's own addresses on the home network; never one that the internet can reach. */
export function homeAddresses(interfaces: typeof networkInterfaces = networkInterfaces): string[] {
  return Object.entries(interfaces())
    .filter(([name]) => !NOT_HOME.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ internal, address }) => !internal && isHomeAddress(address))
    .map(({ address }) => address);
}

/**
 * Who counts as one when tries are counted: an IPv4 address, or the /64 of an IPv6 address, within which a machine takes
 * as many addresses as it likes (RFC 8981).
 */
export function neighbour(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const groupsOf = (part: string) => (part === '' ? [] : part.split(':'));
  const known = [...groupsOf(head), ...groupsOf(tail ?? '')].length;
  const groups = [...groupsOf(head), ...Array<string>(8 - known).fill('0'), ...groupsOf(tail ?? '')];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
