import * as z from "zod/mini";
import { shieldEventSchema } from "./shield-event.ts";

/** The JSON Schema (2020-12) of one event, as published in shield-event.schema.json. */
export function renderEventSchema(): string {
  const { $schema, ...schema } = z.toJSONSchema(shieldEventSchema, { io: "input" });
  return `${JSON.stringify({ $schema, title: "An event of a shielded container", ...schema }, undefined, 2)}\n`;
}
