import { join } from "node:path";

/** Where the command line keeps what V8 made of it, wherever the state of containers is. */
export function findCodeCache(home: string, environment: NodeJS.ProcessEnv): string {
  return join(environment.XDG_STATE_HOME || join(home, ".local/state"), "terok/shield/code-cache");
}
