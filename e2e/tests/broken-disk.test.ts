import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { installedShield } from "./installed-shield.ts";
import { expectReach, type ShieldedContainer, startShielded } from "./shielded-container.ts";

const PROFILE = "good.test\n198.18.2.0/24\n";
const LISTED = "tcp,198.18.2.1,80";
const DENIED = "tcp,198.18.2.2,80";
const DENIED_LATER = "tcp,198.18.2.3,80";
const UNLISTED = "tcp,198.18.66.66,80";

/** The disk that holds the state directory. */
interface Disk {
  readonly what: string;
  readonly container: string;
  breakDown(): Promise<void>;
  mend(): Promise<void>;
}

describe("a state directory that takes nothing", () => {
  let lab: Lab;
  let state: string;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    state = `${lab.user.home}/.local/state/terok/shield`;
    await lab.user.mustRun("mkdir", ["--parents", "--mode=0700", state]);
    const options = `size=8m,mode=0700,uid=${lab.user.uid},gid=${lab.user.uid}`;
    await lab.root.mustRun("mount", ["-t", "tmpfs", "-o", options, "disk", state]);
  });
  afterAll(() => lab?.destroy());

  const disks: readonly Disk[] = [
    {
      what: "since its disk is full",
      container: "full",
      async breakDown() {
        const { stderr } = await lab.user.run("dd", ["if=/dev/zero", `of=${state}/filler`, "bs=4k"]);
        expect(stderr).toContain("No space left on device");
      },
      mend: async () => void (await lab.user.mustRun("rm", [`${state}/filler`])),
    },
    {
      what: "since it is read-only",
      container: "readonly",
      async breakDown() {
        // A mount of its own, since the helpers hold files of the other one open.
        await lab.root.mustRun("mount", ["--bind", state, state]);
        await lab.root.mustRun("mount", ["-o", "remount,bind,ro", state]);
      },
      mend: async () => void (await lab.root.mustRun("umount", ["--lazy", state])),
    },
  ];

  describe.each(disks)("$what", ({ container, breakDown, mend }) => {
    let web: ShieldedContainer;
    const stateOnDisk = () => readFile(lab.path(`${state}/containers/${container}/state.json`), "utf8");
    let before: string;

    beforeAll(async () => {
      web = await startShielded(lab, container, PROFILE);
      await web.mustShield("allow", "198.18.5.5");
      await expectReach(lab, web, {
        open: [LISTED, DENIED, DENIED_LATER, "tcp,198.18.5.5,80"],
        refused: [UNLISTED],
      });
      before = await stateOnDisk();
      await breakDown();
    });

    test("keeps the container shielded, and status says so", async () => {
      expect(await web.status()).toEqual({ kind: "up" });
      const { stdout } = await lab.shield(["logs", "--container", container, "--only", "lifecycle"]);
      expect(stdout).toContain('"target":"198.18.5.5"');
    });

    test("makes allow fail, and nothing opens", async () => {
      expect(await web.shield("allow", "198.18.66.66")).toMatchObject({
        exitCode: 1,
        stdout: "",
        stderr: expect.stringContaining("cannot be written"),
      });
      await expectReach(lab, web, { open: [LISTED], refused: [UNLISTED] });
      expect(await web.status()).toEqual({ kind: "up" });
    });

    test("makes down fail, and nothing opens", async () => {
      expect(await web.shield("down")).toMatchObject({ exitCode: 1, stdout: "" });
      await expectReach(lab, web, { open: [LISTED], refused: [UNLISTED] });
    });

    test("lets deny into force, which says that it is not kept, and so does status", async () => {
      const stream = await web.client.open("stream", DENIED);
      await stream.goesOn();
      expect(await web.shield("deny", "198.18.2.2")).toMatchObject({
        exitCode: 1,
        stdout: "",
        stderr: expect.stringContaining("In force now, but not kept"),
      });
      await stream.ended();
      await expectReach(lab, web, { open: [LISTED, DENIED_LATER], refused: [DENIED, UNLISTED] });
      expect(await web.shield("status")).toMatchObject({
        exitCode: 3,
        stdout: expect.stringContaining("could not be kept on disk"),
      });
    });

    test("refuses a second deny, which would drop the first", async () => {
      expect(await web.shield("deny", "198.18.2.3")).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining(`terok-shield block ${container}`),
      });
      await expectReach(lab, web, { open: [LISTED, DENIED_LATER], refused: [DENIED, UNLISTED] });
    });

    test("lets block into force, and up refuses to open it", async () => {
      expect(await web.shield("block")).toMatchObject({ exitCode: 1 });
      await expectReach(lab, web, { refused: [LISTED, DENIED, DENIED_LATER, UNLISTED] });
      expect(await web.shield("up")).toMatchObject({ exitCode: 1 });
      await expectReach(lab, web, { refused: [LISTED, DENIED, DENIED_LATER, UNLISTED] });
    });

    test("leaves no half of anything behind, and loses nothing that was acknowledged", async () => {
      expect(await stateOnDisk()).toBe(before);
      await mend();
      await web.mustShield("deny", "198.18.2.3");
      expect(await web.status()).toEqual({ kind: "up" });
      await expectReach(lab, web, {
        open: [LISTED, "tcp,198.18.5.5,80"],
        refused: [DENIED_LATER, UNLISTED],
      });
      const files = await lab.user.mustRun("find", [`${state}/containers/${container}`, "-name", "*.new"]);
      expect(files).toBe("");
    });
  });
});
