/** Columns padded to their widest cell, numbers to the right, two spaces between them, a line for each row. */
export function renderTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const columns = head.map((title, column) => {
    const cells = rows.map((row) => row[column] ?? "");
    return {
      width: Math.max(title.length, ...cells.map(({ length }) => length)),
      isOfNumbers: cells.some((cell) => /\d/.test(cell)) && cells.every((cell) => /^(?:\d+|-)$/.test(cell)),
    };
  });
  const pad = (cell: string, column: number) => {
    const { width, isOfNumbers } = columns[column] ?? { width: 0, isOfNumbers: false };
    return isOfNumbers ? cell.padStart(width) : cell.padEnd(width);
  };
  return [head, ...rows].map((row) => `${row.map(pad).join("  ").trimEnd()}\n`).join("");
}
