import { expect, test } from "vitest";
import { findCrowdedParents, MANY_NAMES, suspectName } from "./learn-suspicion.ts";

test.each([
  "good.test",
  "objects.githubusercontent.com",
  "release-assets.githubusercontent.com",
  "d111111abcdef8.cloudfront.net",
  "ec2-198-51-100-7.eu-west-1.compute.amazonaws.com",
  "prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com",
  "registry-1.docker.io",
  "internationalization.example.com",
  "manifestrepository2024.example.com",
  "1.2.3.4.example.com",
])("%s is a name like others", (name) => {
  expect(suspectName(name)).toBeUndefined();
});

test.each([
  ["mzxw6ytboi4tsmjsgq.evil.test", /random label/],
  ["9f86d081884c7d659a2feaa0c55ad015.evil.test", /random label/],
  ["550e8400-e29b-41d4-a716-446655440000-more.evil.test", /label can carry/],
  ["qzxkvwjhplmtrnbs.evil.test", /random label/],
  [`${"a".repeat(40)}.evil.test`, /label can carry/],
  [`${"data.".repeat(20)}evil.test`, /name can carry/],
  ["xn--80ak6aa92e.test", /another script/],
])("%s is suspicious", (name, reason) => {
  expect(suspectName(name)).toMatch(reason);
});

test("a parent is crowded by many names below it, at any depth", () => {
  const names = (count: number) =>
    Array.from({ length: count }, (_, index) => `${index}.x${index}.t.evil.test`);
  expect([...findCrowdedParents(names(MANY_NAMES))]).toEqual(["t.evil.test", "evil.test"]);
  expect([...findCrowdedParents(names(MANY_NAMES - 1))]).toEqual([]);
});
