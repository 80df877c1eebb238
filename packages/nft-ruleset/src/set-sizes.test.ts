import { expect, test } from "vitest";
import { readSetSizes } from "./set-sizes.ts";

const ours = { family: "inet", table: "terok_shield" };

test("the size of each set of our table is read, with its limit where it has one", () => {
  const objects = [
    { metainfo: { version: "1.0.6" } },
    { set: { ...ours, name: "allow_v4", elem: ["198.18.0.1", { prefix: { addr: "10.0.0.0", len: 8 } }] } },
    { set: { ...ours, name: "dns_v4", size: 65536, elem: [{ elem: { val: "198.18.0.2", expires: 5 } }] } },
    { set: { ...ours, name: "dns_v6", size: 65536 } },
    { set: { family: "ip", table: "terok_shield", name: "foreign", elem: ["192.0.2.1"] } },
    { set: { family: "inet", table: "other", name: "foreign", elem: ["192.0.2.1"] } },
    { chain: { ...ours, name: "output" } },
  ];
  expect(readSetSizes(JSON.stringify({ nftables: objects }))).toEqual([
    { name: "allow_v4", elements: 2 },
    { name: "dns_v4", elements: 1, limit: 65536 },
    { name: "dns_v6", elements: 0, limit: 65536 },
  ]);
});

test("what is no listing is an error", () => {
  expect(() => readSetSizes("{}")).toThrow("without a list of objects");
});
