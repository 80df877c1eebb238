import { describe, expect, test } from "vitest";
import { parseContainerSpec } from "./parse-container-spec.ts";
import { ShieldRefusal } from "./shield-refusal.ts";
import { standInSpec } from "./stand-in-spec.ts";

test("podman's own specification is taken as it is", () => {
  const spec = standInSpec();
  expect(parseContainerSpec(JSON.stringify(spec))).toEqual(spec);
});

test("nothing has to be there; what is missing is a matter of the checks", () => {
  expect(parseContainerSpec("{}")).toEqual({});
  expect(parseContainerSpec('{"linux":{},"process":{},"root":{},"mounts":[],"annotations":{}}')).toEqual({
    linux: {},
    process: {},
    root: {},
    mounts: [],
    annotations: {},
  });
});

describe("a malformed specification is refused with the place", () => {
  test.each<[unknown, string]>([
    [{ root: "/" }, "root is not an object"],
    [{ root: null }, "root is not an object"],
    [{ root: { path: 5 } }, "root.path is not text"],
    [{ process: [] }, "process is not an object"],
    [{ process: { capabilities: "x" } }, "process.capabilities is not an object"],
    [{ process: { capabilities: null } }, "process.capabilities is not an object"],
    [{ process: { capabilities: ["CAP_CHOWN"] } }, "process.capabilities is not an object"],
    [
      { process: { capabilities: { bounding: "CAP_NET_ADMIN" } } },
      'process.capabilities["bounding"] is not a list',
    ],
    [{ process: { capabilities: { ambient: null } } }, 'process.capabilities["ambient"] is not a list'],
    [{ process: { capabilities: { "a\n": [12] } } }, 'process.capabilities["a\\n"][0] is not text'],
    [{ mounts: 5 }, "mounts is not a list"],
    [{ mounts: {} }, "mounts is not a list"],
    [{ mounts: null }, "mounts is not a list"],
    [{ mounts: [null] }, "mounts[0] is not an object"],
    [{ mounts: [{ destination: "/" }, {}] }, "mounts[1].destination is not text"],
    [{ mounts: [{ destination: ["/"] }] }, "mounts[0].destination is not text"],
    [{ mounts: [{ destination: "/", source: 5 }] }, "mounts[0].source is not text"],
    [{ mounts: [{ destination: "/", type: {} }] }, "mounts[0].type is not text"],
    [{ mounts: [{ destination: "/", options: null }] }, "mounts[0].options is not a list"],
    [{ mounts: [{ destination: "/", options: "ro" }] }, "mounts[0].options is not a list"],
    [{ mounts: [{ destination: "/", options: ["ro", ["rw"]] }] }, "mounts[0].options[1] is not text"],
    [{ annotations: ["a"] }, "annotations is not an object"],
    [{ annotations: { a: false } }, 'annotations["a"] is not text'],
    [{ linux: "x" }, "linux is not an object"],
    [{ linux: { namespaces: {} } }, "linux.namespaces is not a list"],
    [{ linux: { namespaces: ["network"] } }, "linux.namespaces[0] is not an object"],
    [{ linux: { namespaces: [{}] } }, "linux.namespaces[0].type is not text"],
    [{ linux: { namespaces: [{ type: "network", path: null }] } }, "linux.namespaces[0].path is not text"],
    [{ linux: { devices: "/dev/net/tun" } }, "linux.devices is not a list"],
    [{ linux: { devices: [{ path: 1 }] } }, "linux.devices[0].path is not text"],
    [{ linux: { devices: [{}] } }, "linux.devices[0].path is not text"],
    [{ linux: { readonlyPaths: "/proc/sys" } }, "linux.readonlyPaths is not a list"],
    [{ linux: { readonlyPaths: [null] } }, "linux.readonlyPaths[0] is not text"],
  ])("%j", (spec, fault) => {
    expect(() => parseContainerSpec(JSON.stringify(spec))).toThrow(
      new ShieldRefusal(`the container's config.json is malformed: ${fault}`),
    );
  });

  test.each([
    ["", "is not JSON"],
    ['{"linux":', "is not JSON"],
    ["null", "is not a JSON object"],
    ["[]", "is not a JSON object"],
  ])("%j", (text, fault) => {
    expect(() => parseContainerSpec(text)).toThrow(new ShieldRefusal(`the container's config.json ${fault}`));
  });
});
