/** A reason not to let the container start, in one sentence for its owner. */
export class ShieldRefusal extends Error {}
