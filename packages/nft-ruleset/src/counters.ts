/** What is counted with a verdict, and what of it was logged: the difference is not listed anywhere. */
export const VERDICT_COUNTERS = {
  allowed: { counted: "allowed", logged: "logged_allowed" },
  bypass: { counted: "bypassed", logged: "logged_bypass" },
  blocked: { counted: "refused_blocked", logged: "logged_blocked" },
  denied: { counted: "refused_denied", logged: "logged_denied" },
  private: { counted: "refused_private", logged: "logged_private" },
} as const;

/** Queries that were too many for the container's resolver. */
export const QUERY_COUNTER = "refused_queries";

/** Queries over UDP that went on to the container's resolver. */
export const ASKED_COUNTER = "dns_asked";

/** What the container's resolver said over UDP, by the answers' response codes (RFC 1035, section 4.1.1). */
export const ANSWER_COUNTERS = {
  answered: { counter: "dns_answered", responseCode: 0 },
  /** No such name; also of names below one that policy allows alone. */
  missing: { counter: "dns_missing", responseCode: 3 },
  refused: { counter: "dns_refused", responseCode: 5 },
} as const;

/** Every counter of the table. */
export const COUNTERS: readonly string[] = [
  ...Object.values(VERDICT_COUNTERS).map(({ counted }) => counted),
  ...Object.values(VERDICT_COUNTERS).map(({ logged }) => logged),
  QUERY_COUNTER,
  ASKED_COUNTER,
  ...Object.values(ANSWER_COUNTERS).map(({ counter }) => counter),
];
