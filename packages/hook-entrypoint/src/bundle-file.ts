/** Files of a container's bundle, relative to it. */
export const BUNDLE_FILE = {
  manifest: "bundle.json",
  ruleset: "ruleset.nft",
  listing: "listing.json",
  resolvConf: "resolv.conf",
  hosts: "hosts",
  dnsmasqConf: "dnsmasq.conf",
  dnsServers: "dns-servers",
  /** What dnsmasq reads: names and a marker, and for the length of the hook's check one name more. */
  activeDnsServers: "dns-servers.active",
  /** SHA-256 of the active servers file, in hex, that dnsmasq was last seen to follow. */
  confirmedDnsServers: "dns-servers.confirmed",
  dnsmasqPid: "dnsmasq.pid",
  /** Of this run of the container: it tells which names brought the addresses that are open. */
  dnsmasqLog: "dnsmasq.log",
  /** Of this run too, from before the log grew too long. */
  rotatedDnsmasqLog: "dnsmasq.log.old",
  /** The same of the run before. */
  earlierDnsmasqLog: "dnsmasq.earlier.log",
  earlierRotatedDnsmasqLog: "dnsmasq.earlier.log.old",
  ulogdConf: "ulogd.conf",
  ulogdPid: "ulogd.pid",
  packetLog: "packets.jsonl",
  rotatedPacketLog: "packets.jsonl.old",
  ulogdLog: "ulogd.log",
  keeperPid: "keeper.pid",
  audit: "audit.jsonl",
  runtime: "runtime.json",
  /** Why the hook last refused, for the command that started the container. */
  refusal: "refusal.txt",
  /** The cli's own: what was asked for and the policy in force. Everything else is made from it. */
  state: "state.json",
  hooks: "hooks",
} as const;
