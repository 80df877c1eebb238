/** ` until 14:32:10`, with the day when it is another; nothing for what has no end. Times are local. */
export function renderEnd(until: Date | undefined, now: Date): string {
  if (until === undefined) return "";
  const day = until.toDateString() === now.toDateString() ? "" : `${renderDay(until)} `;
  return ` until ${day}${until.toTimeString().slice(0, 8)}`;
}

function renderDay(date: Date): string {
  const twoDigits = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
}
