/** Connection marks: which rule last let a packet of the connection through. */
export const MARK = {
  allowed: 0x7e530002,
  inbound: 0x7e530003,
  bypass: 0x7e530004,
  temporary: 0x7e530005,
} as const;

/** Of the container's queries, on their connections and on the packets by which the resolver asks for them. */
export function queryMark(generation: number): number {
  return 0x7e510000 + (generation & 0xffff);
}

/** Of connections to learned addresses. Those of a scope that ends by itself have one of their own. */
export function learnedMark(
  generation: number,
  scope: { readonly id: number; readonly remainingSeconds?: number } = { id: 0 },
): number {
  const base = scope.remainingSeconds === undefined ? 0x7e520000 : 0x60000000 + (scope.id & 0xfff) * 0x10000;
  return base + (generation & 0xffff);
}
