import { type Finished, type HostUser, hostUser, type RunOptions } from "./host-user.ts";
import { IMAGE, IMAGE_ARGS, importImage } from "./image.ts";
import { type Internet, startInternet } from "./internet.ts";
import { type MachineOptions, startMachine } from "./machine.ts";
import { shieldConfig } from "./platform.ts";

/** An internet, a host on it, and an ordinary user with rootless Podman on that host. */
export interface Lab {
  readonly internet: Internet;
  readonly user: HostUser;
  /** The host's administrator; not root of the machine that the lab runs on, except in power. */
  readonly root: HostUser;
  readonly image: string;
  /** Image and the options it needs, as the end of `podman run` arguments. */
  readonly imageArgs: readonly string[];
  /** Where this side finds a file of the host. */
  path(inside: string): string;
  podman(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Runs the installed CLI as the user. */
  shield(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Ends every process; nothing of the lab is left on the machine. */
  destroy(): Promise<void>;
}

export async function createLab(options: MachineOptions = {}): Promise<Lab> {
  const machine = await startMachine(options);
  try {
    const user = hostUser(machine, "ordinary");
    const [internet] = await Promise.all([
      startInternet(machine),
      importImage(user),
      user.writeFile(`${user.home}/.config/terok/shield/config.yml`, shieldConfig()),
    ]);
    return {
      internet,
      user,
      root: hostUser(machine, "root"),
      image: IMAGE,
      imageArgs: IMAGE_ARGS,
      path: machine.path,
      podman: (args, runOptions) => user.run("podman", args, runOptions),
      shield: (args, runOptions) => user.run("terok-shield", args, runOptions),
      destroy: machine.stop,
    };
  } catch (cause) {
    await machine.stop();
    throw cause;
  }
}
