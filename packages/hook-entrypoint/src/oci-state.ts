import { ANNOTATION } from "./contract.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/** The state that a runtime hands to its hooks (OCI runtime specification, "State"). */
export interface OciState {
  readonly id: string;
  readonly bundle: string;
  /** Absent in poststop. */
  readonly pid: number | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

const CONTAINER_ID = /^[0-9a-f]{64}$/;
export const MAX_STATE_LENGTH = 1024 * 1024;
const MAX_SHOWN_LENGTH = 100;

/** @throws ShieldRefusal when the text is not the state of a Podman container. */
export function parseOciState(text: string): OciState {
  if (text.length > MAX_STATE_LENGTH) throw new ShieldRefusal("the OCI state on standard input is too long");
  const state = parseObject(text, "the OCI state on standard input");
  const { id, bundle, pid, annotations = {} } = state;
  if (typeof id !== "string" || !CONTAINER_ID.test(id)) {
    throw new ShieldRefusal(`the OCI state names no container id: ${show(id)}`);
  }
  if (typeof bundle !== "string" || !bundle.startsWith("/") || bundle.includes("\0")) {
    throw new ShieldRefusal(`the OCI state names no bundle directory: ${show(bundle)}`);
  }
  if (pid !== undefined && (!Number.isSafeInteger(pid) || (pid as number) < 0)) {
    throw new ShieldRefusal(`the OCI state holds no process id: ${show(pid)}`);
  }
  if (!isStringRecord(annotations))
    throw new ShieldRefusal("the OCI state holds annotations that are not text");
  return { id, bundle, pid: pid === 0 ? undefined : (pid as number | undefined), annotations };
}

/** The state directory that a container's annotation names: hostile, since an image may bring it. @throws ShieldRefusal when there is none. */
export function readAnnotatedDirectory({ annotations }: OciState): string {
  const directory = annotations[ANNOTATION.stateDirectory];
  if (directory === undefined)
    throw new ShieldRefusal(`the annotation ${ANNOTATION.stateDirectory} is missing`);
  return directory;
}

/** @throws ShieldRefusal when the text is not one JSON object. */
export function parseObject(text: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ShieldRefusal(`${what} is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ShieldRefusal(`${what} is not a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** Short, whatever it holds and however deep it is. */
function show(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  return (JSON.stringify(value) ?? "nothing").slice(0, MAX_SHOWN_LENGTH);
}

function isStringRecord(value: unknown): value is Record<string, string> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((entry) => typeof entry === "string")
  );
}
