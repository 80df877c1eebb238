import { expect, test } from "vitest";
import { policyOf } from "../testing/name-policies.ts";
import { type DnsmasqConfig, renderDnsmasqConfig } from "./dnsmasq-config.ts";
import { MOST_SCOPES } from "./scope-conflict.ts";

const CONFIG: DnsmasqConfig = {
  version: [2, 90],
  serversFile: "/state/web/dns-servers",
  pidFile: "/state/web/dnsmasq.pid",
  logFile: "/state/web/dnsmasq.log",
  table: { family: "inet", name: "terok_shield" },
  learnedSets: (scope) =>
    scope === 0 ? { v4: "dns_v4", v6: "dns_v6" } : { v4: `dns_${scope}_v4`, v6: `dns_${scope}_v6` },
  names: policyOf({}),
  maximumTtlSeconds: 900,
  refusedAnswers: ["100.64.0.0/10", "64:ff9b::a00:0/104"],
};

test("renders the configuration of dnsmasq 2.90", () => {
  expect(renderDnsmasqConfig(CONFIG)).toBe(`port=53
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
no-ident
conntrack
stop-dns-rebind
bogus-nxdomain=100.64.0.0/10
bogus-nxdomain=64:ff9b::a00:0/104
cache-size=0
max-ttl=900
edns-packet-max=1232
filter-rr=HTTPS,SVCB
user=root
group=root
address=/terok-shield.invalid/#
local=/terok-shield.invalid/
servers-file=/state/web/dns-servers
nftset=/#/4#inet#terok_shield#dns_v4,6#inet#terok_shield#dns_v6
log-queries=extra
log-facility=/state/web/dnsmasq.log
pid-file=/state/web/dnsmasq.pid
`);
});

test("names that are open on every port do not change it", () => {
  const names = policyOf({ exact: ["good.test"], wildcards: ["wild.test"], closedExact: ["bad.wild.test"] });
  expect(renderDnsmasqConfig({ ...CONFIG, names })).toBe(renderDnsmasqConfig(CONFIG));
});

test("each domain of another scope has a line with the sets of all its scopes", () => {
  const names = policyOf({
    exact: ["good.test@1", "api.good.test"],
    wildcards: ["wild.test@12", "wild.test@2"],
  });
  const lines = renderDnsmasqConfig({ ...CONFIG, names }).split("\n");
  expect(lines.filter((line) => line.startsWith("nftset="))).toEqual([
    "nftset=/#/4#inet#terok_shield#dns_v4,6#inet#terok_shield#dns_v6",
    "nftset=/good.test/4#inet#terok_shield#dns_1_v4,6#inet#terok_shield#dns_1_v6",
    "nftset=/wild.test/4#inet#terok_shield#dns_2_v4,6#inet#terok_shield#dns_2_v6,4#inet#terok_shield#dns_12_v4,6#inet#terok_shield#dns_12_v6",
    "nftset=/api.good.test/4#inet#terok_shield#dns_v4,6#inet#terok_shield#dns_v6",
  ]);
});

test("refuses scopes that dnsmasq would mix up, and more sets than a line holds", () => {
  const mixed = policyOf({ exact: ["good.test@1"], wildcards: ["good.test@2"] });
  expect(() => renderDnsmasqConfig({ ...CONFIG, names: mixed })).toThrow("the scopes of good.test (1)");
  const many = policyOf({ exact: Array.from({ length: MOST_SCOPES }, (_, scope) => `good.test@${scope}`) });
  const learnedSets = (scope: number) => ({
    v4: `${"x".repeat(30)}${scope}`,
    v6: `${"y".repeat(30)}${scope}`,
  });
  expect(() => renderDnsmasqConfig({ ...CONFIG, names: many })).not.toThrow();
  const longest = {
    ...many,
    exact: many.exact.map((entry) => ({ ...entry, name: `${"a.".repeat(100)}test` })),
  };
  expect(() => renderDnsmasqConfig({ ...CONFIG, names: longest, learnedSets })).toThrow(
    "do not fit into a line",
  );
});

test.each(["Good.test", "good test", "good.test/1.1.1.1", "#", ""])("refuses the scoped name %j", (name) => {
  for (const list of ["exact", "wildcards"] as const) {
    expect(() => renderDnsmasqConfig({ ...CONFIG, names: policyOf({ [list]: [`${name}@1`] }) })).toThrow(
      "is not a canonical domain name",
    );
  }
});

test.each([
  [[2, 87], []],
  [[2, 89], ["no-ident"]],
  [
    [2, 90],
    ["no-ident", "filter-rr=HTTPS,SVCB"],
  ],
] as const)("gives dnsmasq %j no option that it does not know", (version, options) => {
  const lines = renderDnsmasqConfig({ ...CONFIG, version }).split("\n");
  expect(lines.filter((line) => /^(?:no-ident|filter-rr)/.test(line))).toEqual(options);
});

test.each([
  "relative/servers",
  "",
  "/state/with space",
  "/state/with\ttab",
  "/state/with\nno-resolv",
  "/state/with\rreturn",
  "/state/with\u0085next-line",
  "/state/with\u2028separator",
  "/state/with\0nul",
  '/state/"quoted"',
  "/state/'quoted'",
  "/state/back\\slash",
  "/state/#comment",
  "/state/lone\ud800surrogate",
])("refuses the path %j", (value) => {
  for (const key of ["serversFile", "pidFile", "logFile"] as const) {
    expect(() => renderDnsmasqConfig({ ...CONFIG, [key]: value })).toThrow(
      `${JSON.stringify(value)} cannot stand in dnsmasq.conf`,
    );
  }
});

test("refuses a path that dnsmasq would cut in two, by its bytes", () => {
  const longest = `/${"ö".repeat(493)}`;
  expect(renderDnsmasqConfig({ ...CONFIG, serversFile: longest })).toContain(`servers-file=${longest}\n`);
  expect(() => renderDnsmasqConfig({ ...CONFIG, serversFile: `${longest}ö` })).toThrow(
    "longer than a line may be",
  );
});

test.each(["dns v4", "dns#v4", "dns,v4", "", "4dns", "a".repeat(32), "dns\nport=5"])(
  "refuses the set name %j",
  (v4) => {
    expect(() => renderDnsmasqConfig({ ...CONFIG, learnedSets: () => ({ v4, v6: "dns_v6" }) })).toThrow(
      "is not a name of an nftables set",
    );
  },
);

test.each(["100.64.0.0", "10.0.0.0/33", "fe80::-ffff::", "10.0.0.0/8\nport=5", "::/129", "fc00::%lo/7", ""])(
  "refuses %j as a range of refused answers",
  (range) => {
    expect(() => renderDnsmasqConfig({ ...CONFIG, refusedAnswers: [range] })).toThrow(
      `${JSON.stringify(range)} is not a CIDR range`,
    );
  },
);

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
  "refuses %d as a time to live",
  (maximumTtlSeconds) => {
    expect(() => renderDnsmasqConfig({ ...CONFIG, maximumTtlSeconds })).toThrow("is not a number of seconds");
  },
);
