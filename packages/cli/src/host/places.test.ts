import { mkdirSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { makeTemporaryDirectory } from "../../testing/temporary-directory.ts";
import { ShieldError } from "../shield-error.ts";
import { findPlaces } from "./places.ts";

const HOME = "/nonexistent/me";

describe("where state and configuration are", () => {
  test.each([
    {
      name: "by the XDG defaults",
      environment: {},
      state: `${HOME}/.local/state/terok/shield`,
      config: `${HOME}/.config/terok/shield`,
    },
    {
      name: "by XDG variables",
      environment: { XDG_STATE_HOME: "/nonexistent/s", XDG_CONFIG_HOME: "/nonexistent/c" },
      state: "/nonexistent/s/terok/shield",
      config: "/nonexistent/c/terok/shield",
    },
    {
      name: "by the XDG defaults when the variables are empty",
      environment: { XDG_STATE_HOME: "", XDG_CONFIG_HOME: "" },
      state: `${HOME}/.local/state/terok/shield`,
      config: `${HOME}/.config/terok/shield`,
    },
    {
      name: "by variables of our own, before XDG's",
      environment: {
        TEROK_SHIELD_STATE_DIR: "/nonexistent/state",
        TEROK_SHIELD_CONFIG_DIR: "/nonexistent/config",
        XDG_STATE_HOME: "/nonexistent/s",
        XDG_CONFIG_HOME: "/nonexistent/c",
      },
      state: "/nonexistent/state",
      config: "/nonexistent/config",
    },
    {
      name: "by --state-dir, before everything",
      stateDirectory: "/nonexistent/option",
      environment: { TEROK_SHIELD_STATE_DIR: "/nonexistent/state" },
      state: "/nonexistent/option",
      config: `${HOME}/.config/terok/shield`,
    },
  ])("$name", ({ stateDirectory, environment, state, config }) => {
    expect(findPlaces(stateDirectory, { HOME, ...environment })).toMatchObject({ state, config });
  });

  test("the state directory has one name, whatever symbolic links lead to it", () => {
    const directory = makeTemporaryDirectory();
    mkdirSync(`${directory}/real`);
    symlinkSync(`${directory}/real`, `${directory}/link`);
    expect(findPlaces(`${directory}/link`, { HOME }).state).toBe(`${directory}/real`);
    expect(findPlaces(`${directory}/link/not/yet`, { HOME }).state).toBe(`${directory}/real/not/yet`);
    expect(findPlaces(`${directory}/real/`, { HOME }).state).toBe(`${directory}/real`);
    expect(findPlaces(`${directory}/real/../link`, { HOME }).state).toBe(`${directory}/real`);
  });

  test("the bundled profiles and the hook lie beside the program", () => {
    const { bundledProfiles, hookEntrypoint } = findPlaces(undefined, { HOME });
    const beside = (name: string) => fileURLToPath(new URL(name, import.meta.url));
    expect([bundledProfiles, hookEntrypoint]).toEqual([
      beside("./profiles"),
      beside("./terok-shield-hook.cjs"),
    ]);
  });
});

describe("a path that podman, dnsmasq, ulogd or sed could misread is refused", () => {
  test.each([
    "",
    "relative",
    "./state",
    "~/state",
    "/with space",
    "/with:colon",
    "/with,comma",
    "/with'quote",
    '/with"quote',
    "/with\\backslash",
    "/with\nnewline",
    "/with#hash",
    "/with$dollar",
    "/with*star",
    "/wïth",
    "/with\0nul",
  ])("%j", (path) => {
    const complaint = (what: string) =>
      new ShieldError(
        `The ${what} ${JSON.stringify(path)} is not an absolute path of letters, digits and ._/@+=~- only.`,
        { code: "usage" },
      );
    expect(() => findPlaces(path, { HOME })).toThrow(complaint("state directory"));
    expect(() => findPlaces(undefined, { HOME, TEROK_SHIELD_STATE_DIR: path })).toThrow(
      complaint("state directory"),
    );
    expect(() => findPlaces(undefined, { HOME, TEROK_SHIELD_CONFIG_DIR: path })).toThrow(
      complaint("configuration directory"),
    );
  });

  test("also where a symbolic link leads to it", () => {
    const directory = makeTemporaryDirectory();
    mkdirSync(`${directory}/my disk`);
    symlinkSync(`${directory}/my disk`, `${directory}/link`);
    expect(() => findPlaces(`${directory}/link/state`, { HOME })).toThrow(
      `The state directory "${directory}/my disk/state" is not an absolute path`,
    );
  });
});
