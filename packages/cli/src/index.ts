export type { Resolved } from "./commands/resolve.ts";
export type { ContainerStatus } from "./commands/status.ts";
export { createShield, type Shield, type ShieldOptions } from "./shield.ts";
export { ShieldError, type ShieldErrorCode } from "./shield-error.ts";
