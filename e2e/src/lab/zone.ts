/** What the lab's internet says about a name. A name that starts with `*.` stands for all below it. */
export interface ZoneEntry {
  readonly addresses?: readonly string[];
  readonly alias?: string;
  readonly text?: readonly string[];
  readonly ttlSeconds?: number;
  /** Queries for the name are logged and never answered. */
  readonly silent?: boolean;
}

export type Zone = Readonly<Record<string, ZoneEntry>>;

export const NAMESERVERS = ["198.18.0.53", "2001:2::53"];
/** Takes queries and never answers one. */
export const SILENT_NAMESERVER = "198.18.0.54";

/** Any other name is answered with NXDOMAIN. */
export const ZONE: Zone = {
  "good.test": { addresses: ["198.18.0.10", "2001:2::10"] },
  "api.good.test": { addresses: ["198.18.0.11", "2001:2::11"] },
  "other.test": { addresses: ["198.18.0.12", "2001:2::12"] },
  "v4only.test": { addresses: ["198.18.0.13"] },
  "v6only.test": { addresses: ["2001:2::14"] },

  "wild.test": { addresses: ["198.18.0.20", "2001:2::20"] },
  "a.wild.test": { addresses: ["198.18.0.21", "2001:2::21"] },
  "b.a.wild.test": { addresses: ["198.18.0.22", "2001:2::22"] },

  "one.shared.test": { addresses: ["198.18.0.30", "2001:2::30"] },
  "two.shared.test": { addresses: ["198.18.0.30", "2001:2::30"] },

  "alias.test": { alias: "second.alias.test" },
  "second.alias.test": { alias: "third.alias.test" },
  "third.alias.test": { addresses: ["198.18.0.40", "2001:2::40"] },
  "alias-to-evil.test": { alias: "evil.test" },

  "evil.test": { addresses: ["198.18.66.66", "2001:2::6666"] },
  "*.evil.test": { addresses: ["198.18.66.66", "2001:2::6666"], text: ["an answer from evil"] },

  "private.test": { addresses: ["10.77.0.7"] },
  "home.test": { addresses: ["192.168.77.7"] },
  "cgnat.test": { addresses: ["100.64.7.7"] },
  "metadata.test": { addresses: ["169.254.169.254", "fd00:ec2::254"] },
  "ula.test": { addresses: ["fd77::7"] },
  "mapped.test": { addresses: ["::ffff:a4d:7"] },
  "nat64.test": { addresses: ["64:ff9b::a4d:7"] },
  "6to4.test": { addresses: ["2002:a4d:7::1"] },
  "mixed.test": { addresses: ["198.18.0.50", "10.77.0.7", "2001:2::50", "fd77::7"] },

  "many.test": { addresses: Array.from({ length: 200 }, (_, index) => `198.18.200.${index + 1}`) },
  "silent.test": { silent: true },
};
