import { expect, test } from "vitest";
import { renderEventSchema } from "./render-event-schema.ts";

test("the published JSON Schema is that of the events", async () => {
  await expect(renderEventSchema()).toMatchFileSnapshot("../shield-event.schema.json");
});
