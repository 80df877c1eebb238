import { parseObject } from "./oci-state.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/** The parts of a runtime's config.json that decide whether a shield can hold (OCI runtime specification). */
export interface ContainerSpec {
  readonly root?: { readonly path?: string };
  readonly process?: { readonly capabilities?: Readonly<Record<string, readonly string[]>> };
  readonly mounts?: readonly SpecMount[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: {
    readonly namespaces?: readonly { readonly type: string; readonly path?: string }[];
    readonly devices?: readonly { readonly path: string }[];
    readonly readonlyPaths?: readonly string[];
  };
}

export interface SpecMount {
  readonly destination: string;
  readonly source?: string;
  readonly type?: string;
  readonly options?: readonly string[];
}

/** @throws ShieldRefusal naming the first part that is not of the type that the specification gives it. */
export function parseContainerSpec(text: string): ContainerSpec {
  const spec = parseObject(text, "the container's config.json");
  checkSpec(spec, "");
  return spec;
}

type Check = (value: unknown, place: string) => void;

const text: Check = (value, place) => {
  if (typeof value !== "string") refuse(place, "text");
};

const checkSpec = object({
  root: object({ path: text }),
  process: object({ capabilities: record(list(text)) }),
  mounts: list(object({ source: text, type: text, options: list(text) }, { destination: text })),
  annotations: record(text),
  linux: object({
    namespaces: list(object({ path: text }, { type: text })),
    devices: list(object({}, { path: text })),
    readonlyPaths: list(text),
  }),
});

function object(optional: Record<string, Check>, required: Record<string, Check> = {}): Check {
  return (value, place) => {
    if (!isObject(value)) return refuse(place, "an object");
    for (const [name, check] of Object.entries({ ...optional, ...required })) {
      if (name in required || value[name] !== undefined)
        check(value[name], place ? `${place}.${name}` : name);
    }
  };
}

function record(check: Check): Check {
  return (value, place) => {
    if (!isObject(value)) return refuse(place, "an object");
    for (const [name, item] of Object.entries(value)) check(item, `${place}[${JSON.stringify(name)}]`);
  };
}

function list(check: Check): Check {
  return (value, place) => {
    if (!Array.isArray(value)) return refuse(place, "a list");
    value.forEach((item, index) => {
      check(item, `${place}[${index}]`);
    });
  };
}

function refuse(place: string, wanted: string): never {
  throw new ShieldRefusal(`the container's config.json is malformed: ${place} is not ${wanted}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
