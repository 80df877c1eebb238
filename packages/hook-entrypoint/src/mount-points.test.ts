import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { parseMountInfo } from "./mount-points.ts";

test("reads path, place in its file system, type and whether it can be written to, in order", () => {
  const text = `
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
24 22 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
25 22 0:21 / /sys ro,nosuid master:7 shared:8 - sysfs sysfs rw
40 22 254:2 /@home\\040x /home/a\\040b\\134c rw,noatime - btrfs /dev/vda2 rw,subvol=/@home
41 22 7:0 / /mnt/read-only rw,nodev - squashfs /dev/loop0 ro
42 22 0:4 net:[4026532000] /run/user/1000/netns/ro,a rw shared:5 - nsfs nsfs rw
43 22 0:50 / /mnt/ü rw - fuse.sshfs - rw
`.trimStart();
  expect(parseMountInfo(text)).toEqual([
    { path: "/", device: "254:1", root: "/", type: "ext4", writable: true },
    { path: "/proc", device: "0:22", root: "/", type: "proc", writable: true },
    { path: "/sys", device: "0:21", root: "/", type: "sysfs", writable: false },
    { path: "/home/a b\\c", device: "254:2", root: "/@home x", type: "btrfs", writable: true },
    { path: "/mnt/read-only", device: "7:0", root: "/", type: "squashfs", writable: false },
    {
      path: "/run/user/1000/netns/ro,a",
      device: "0:4",
      root: "net:[4026532000]",
      type: "nsfs",
      writable: true,
    },
    { path: "/mnt/ü", device: "0:50", root: "/", type: "fuse.sshfs", writable: true },
  ]);
});

test("reads what this kernel says", () => {
  const mounts = parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
  expect(mounts.find(({ path }) => path === "/proc")).toMatchObject({ type: "proc" });
  expect(mounts.filter(({ path, type }) => !path.startsWith("/") || type === "")).toEqual([]);
});

test("a mount point is read as the kernel wrote it, whatever its path", () => {
  const path = fc.string({ unit: "grapheme-ascii" }).map((name) => `/${name}`);
  // The kernel escapes these four (show_mountinfo).
  const escaped = (text: string) =>
    text.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
  const optional = fc.array(fc.constantFrom("shared:1", "master:2", "propagate_from:3", "unbindable"));
  fc.assert(
    fc.property(path, path, optional, fc.boolean(), (at, root, fields, writable) => {
      const line = [
        "36",
        "35",
        "98:0",
        escaped(root),
        escaped(at),
        writable ? "rw" : "ro",
        ...fields,
        "- ext4 /dev/x rw",
      ];
      expect(parseMountInfo(`${line.join(" ")}\n`)).toEqual([
        { path: at, device: "98:0", root, type: "ext4", writable },
      ]);
    }),
  );
});

test("no text makes it throw", () => {
  const text = fc.oneof(anyText(), fc.stringMatching(/^([0-9:/ ro,\\-]{0,9} ){0,14}$/));
  fc.assert(fc.property(text, (mountInfo) => void parseMountInfo(mountInfo)));
});
