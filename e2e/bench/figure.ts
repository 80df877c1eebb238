/** What was measured of one thing, round by round. */
export interface Figure {
  readonly name: string;
  readonly unit: "ms" | "s" | "Gbit/s" | "/s" | "MiB" | "%" | "";
  readonly values: readonly number[];
  /** The figure of the same section that it is compared with, round by round in turn. */
  readonly against?: string;
  /** What the ratio, or else the median, should be. */
  readonly target?: { readonly most: number } | { readonly least: number };
}

export interface Section {
  readonly title: string;
  /** What was done, in a sentence or two. */
  readonly about: string;
  readonly figures: readonly Figure[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1);
  return (low + high) / 2;
}

/** Of the medians; undefined without a figure to compare with. */
export function ratioOf({ figures }: Section, { values, against }: Figure): number | undefined {
  const other = figures.find(({ name }) => name === against);
  return other === undefined ? undefined : median(values) / median(other.values);
}
