/**
 * Names below this zone belong to the shield. dnsmasq answers one of them with "no such name": the marker of the
 * servers file that it follows.
 */
export const MARKER_ZONE = "terok-shield.invalid";

const MARKER_LINE = /^server=\/(r\d{1,16}-[a-z0-9]{1,40}\.terok-shield\.invalid)\/$/;

/**
 * The name that proves which servers file is in force.
 * @param nonce random, and new each time that a servers file is written: [a-z0-9], at most 40
 */
export function renderMarker(revision: number, nonce: string): string {
  const marker = `r${revision}-${nonce}.${MARKER_ZONE}`;
  if (findMarker(renderMarkerLine(marker)) === undefined)
    throw new Error(`${JSON.stringify(marker)} is no marker`);
  return marker;
}

/** Its line in a servers file. */
export function renderMarkerLine(marker: string): string {
  return `server=/${marker}/\n`;
}

/** The marker in a servers file; undefined unless it holds exactly one. */
export function findMarker(serversFile: string): string | undefined {
  const markers = serversFile.split("\n").flatMap((line) => MARKER_LINE.exec(line)?.[1] ?? []);
  return markers.length === 1 ? markers[0] : undefined;
}
