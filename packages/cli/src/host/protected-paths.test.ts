import { mkdirSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { expect, test } from "vitest";
import { makeTemporaryDirectory } from "../../testing/temporary-directory.ts";
import { makeTestPlaces } from "../../testing/test-host.ts";
import { findProtectedPaths } from "./protected-paths.ts";

test("what rewrites the policy, and what acts on the host, is protected by the user's own variables", () => {
  const places = makeTestPlaces();
  const { unwritable, unreachable } = findProtectedPaths(places, {
    HOME: "/nonexistent/me",
    XDG_CONFIG_HOME: "/nonexistent/config",
    XDG_RUNTIME_DIR: "/nonexistent/run",
  });
  expect(unwritable).toEqual([
    places.state,
    places.config,
    "/nonexistent/me/.local/state/terok/shield/code-cache",
    dirname(places.hookEntrypoint),
    dirname(process.execPath),
    "/nonexistent/me/.local/share/terok/shield",
    "/nonexistent/config/containers",
    "/nonexistent/me/.local/share/containers",
    "/nonexistent/config/systemd",
    "/nonexistent/me/.local/share/systemd",
    "/nonexistent/run/containers",
    "/nonexistent/run/libpod",
  ]);
  expect(unreachable.slice(0, 4)).toEqual([
    "/nonexistent/run/podman",
    "/nonexistent/run/docker.sock",
    "/nonexistent/run/bus",
    "/nonexistent/run/systemd",
  ]);
});

test("without XDG variables, by their defaults", () => {
  const { unwritable, unreachable } = findProtectedPaths(makeTestPlaces(), { HOME: "/nonexistent/me" });
  expect(unwritable).toEqual(
    expect.arrayContaining([
      "/nonexistent/me/.config/containers",
      "/nonexistent/me/.local/share/containers",
      `/run/user/${process.getuid?.()}/libpod`,
    ]),
  );
  expect(unreachable).toContain(`/run/user/${process.getuid?.()}/podman`);
});

test("a path is protected under its real name, also before it exists", () => {
  const directory = makeTemporaryDirectory();
  mkdirSync(`${directory}/dotfiles/containers`, { recursive: true });
  symlinkSync(`${directory}/dotfiles`, `${directory}/config`);
  const { unwritable } = findProtectedPaths(makeTestPlaces(), {
    HOME: "/nonexistent/me",
    XDG_CONFIG_HOME: `${directory}/config`,
  });
  expect(unwritable).toEqual(
    expect.arrayContaining([`${directory}/dotfiles/containers`, `${directory}/dotfiles/systemd`]),
  );
});
