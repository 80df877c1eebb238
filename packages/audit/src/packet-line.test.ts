import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { parsePacketLine } from "./packet-line.ts";
import { packetEventSchema } from "./shield-event.ts";

/** As ulogd 2.0.8 wrote it, but for what a row changes. */
const TCP = {
  timestamp: "2026-11-24T06:07:19.060390",
  dvc: "Netfilter",
  "raw.pktlen": 60,
  "oob.prefix": "TEROK_SHIELD_BLOCKED: ",
  "oob.time.sec": 1795500439,
  "oob.time.usec": 60390,
  "oob.mark": 0,
  "oob.ifindex_out": 3,
  "oob.hook": 3,
  "oob.family": 2,
  "oob.protocol": 2048,
  "oob.uid": 0,
  "oob.gid": 0,
  "ip.protocol": 6,
  "ip.ttl": 64,
  src_port: 51308,
  dest_port: 443,
  "tcp.syn": 1,
  src_ip: "198.18.9.9",
  dest_ip: "198.18.0.1",
};
const { src_port: _, dest_port: __, ...WITHOUT_PORTS } = TCP;

const EVENT = {
  v: 1,
  ts: "2026-11-24T06:07:19.060Z",
  container: "web",
  action: "packet",
  verdict: "blocked",
  protocol: "tcp",
  address: "198.18.0.1",
  port: 443,
  sourcePort: 51308,
  uid: 0,
};
const { port: ___, sourcePort: ____, ...EVENT_WITHOUT_PORTS } = EVENT;

const parse = (fields: object) => parsePacketLine(JSON.stringify(fields), "web");

describe("a line of ulogd is an event", () => {
  test.each<[string, object, object]>([
    ["of TCP", TCP, EVENT],
    ["of UDP", { ...TCP, "ip.protocol": 17, dest_port: 53 }, { ...EVENT, protocol: "udp", port: 53 }],
    [
      "of ICMP",
      { ...WITHOUT_PORTS, "ip.protocol": 1, "icmp.type": 8 },
      { ...EVENT_WITHOUT_PORTS, protocol: "icmp", icmpType: 8 },
    ],
    [
      "of ICMPv6",
      { ...WITHOUT_PORTS, "ip.protocol": 58, "icmpv6.type": 128, dest_ip: "2001:2::1" },
      { ...EVENT_WITHOUT_PORTS, protocol: "icmpv6", icmpType: 128, address: "2001:2::1" },
    ],
    ["of SCTP", { ...WITHOUT_PORTS, "ip.protocol": 132 }, { ...EVENT_WITHOUT_PORTS, protocol: "sctp" }],
    [
      "of a protocol that has no name here",
      { ...WITHOUT_PORTS, "ip.protocol": 123 },
      { ...EVENT_WITHOUT_PORTS, protocol: "protocol 123" },
    ],
    ...["ALLOWED", "BYPASS", "DENIED", "PRIVATE"].map((verdict): [string, object, object] => [
      `that was ${verdict.toLowerCase()}`,
      { ...TCP, "oob.prefix": `TEROK_SHIELD_${verdict}: ` },
      { ...EVENT, verdict: verdict.toLowerCase() },
    ]),
    [
      "with an IPv6 address in another spelling",
      { ...TCP, dest_ip: "2001:0002:0:0:0:0:0:00AB" },
      { ...EVENT, address: "2001:2::ab" },
    ],
    [
      "with an IPv4 address in an IPv6 one",
      { ...TCP, dest_ip: "::ffff:10.77.0.7" },
      { ...EVENT, address: "::ffff:a4d:7" },
    ],
    [
      "without the kernel's time: ulogd's own, in UTC",
      { ...TCP, "oob.time.sec": undefined, timestamp: "2026-11-24T06:07:20.999999" },
      { ...EVENT, ts: "2026-11-24T06:07:20.999Z" },
    ],
    ["of nobody that the kernel knows", { ...TCP, "oob.uid": undefined }, { ...EVENT, uid: undefined }],
    ["with ports that are none", { ...TCP, dest_port: 65536, src_port: -1 }, EVENT_WITHOUT_PORTS],
  ])("%s", (_, fields, event) => {
    expect(parse(fields)).toEqual(event);
  });
});

describe("a line is nothing", () => {
  const line = JSON.stringify(TCP);
  test.each([
    ["when it is empty", ""],
    ["when it is torn", line.slice(0, 100)],
    ["when it is torn, and another has its end", `${line.slice(0, 100)}{"ts":"x"}`],
    ["when it is no object", "[1]"],
    ["when it is null", "null"],
    ["with another's prefix", JSON.stringify({ ...TCP, "oob.prefix": "TEROK_SHIELD_OTHER: " })],
    ["with text before the prefix", JSON.stringify({ ...TCP, "oob.prefix": "x TEROK_SHIELD_BLOCKED: " })],
    ["without a destination", JSON.stringify({ ...TCP, dest_ip: undefined })],
    ["with a name for its destination", JSON.stringify({ ...TCP, dest_ip: "good.test" })],
    ["with a destination in octal digits", JSON.stringify({ ...TCP, dest_ip: "010.0.0.1" })],
    ["with a destination that ends its line", JSON.stringify({ ...TCP, dest_ip: "1.2.3.4\n" })],
    ["without a protocol", JSON.stringify({ ...TCP, "ip.protocol": undefined })],
    ["without a time", JSON.stringify({ ...TCP, "oob.time.sec": 0, timestamp: "yesterday" })],
  ])("%s", (_, text) => {
    expect(parsePacketLine(text, "web")).toBeUndefined();
  });
});

test("what follows a line that was cut off is read all the same", () => {
  const line = JSON.stringify(TCP);
  for (const length of [1, 20, 300])
    expect(parsePacketLine(`${line.slice(0, length)}${line}`, "web")).toEqual(EVENT);
});

test("whatever the fields hold, it is no event or one as the schema has it", () => {
  const keys = Object.keys(TCP);
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.oneof(fc.jsonValue(), anyText()), (key, value) => {
      const event = parse({ ...TCP, [key]: value });
      if (event !== undefined) expect(packetEventSchema.parse(event)).toEqual(event);
    }),
  );
});
