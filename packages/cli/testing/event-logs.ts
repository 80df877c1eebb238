/** Lines as ulogd 2.0.8, dnsmasq 2.90 and the shield's own programs write them. */

/** A packet that was logged; `at`: seconds since 1970. */
export function packetLine(
  at: number,
  verdict: "ALLOWED" | "BYPASS" | "BLOCKED" | "DENIED" | "PRIVATE",
  address: string,
  more: object = { "ip.protocol": 6, src_port: 51308, dest_port: 443 },
): string {
  const seconds = Math.floor(at);
  const microseconds = Math.round((at - seconds) * 1e6);
  return JSON.stringify({
    timestamp: new Date(at * 1000).toISOString().replace("Z", "000"),
    dvc: "Netfilter",
    "raw.pktlen": 60,
    "oob.prefix": `TEROK_SHIELD_${verdict}: `,
    "oob.time.sec": seconds,
    "oob.time.usec": microseconds,
    "oob.hook": 3,
    "oob.family": 2,
    "oob.uid": 0,
    "oob.gid": 0,
    ...more,
    src_ip: "10.0.2.100",
    dest_ip: address,
  });
}

/** What the keeper of the logs wrote down; `at`: seconds since 1970. */
export function counterLine(
  at: number,
  counters: Readonly<Record<string, readonly [number, number]>>,
  before?: Readonly<Record<string, readonly [number, number]>>,
): string {
  return JSON.stringify({ ts: new Date(at * 1000).toISOString(), counters, before });
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A line of dnsmasq's log; `at`: seconds since 1970. */
export function resolverLine(at: number, text: string): string {
  const date = new Date(at * 1000);
  const day = String(date.getUTCDate()).padStart(2, " ");
  return `${MONTHS[date.getUTCMonth()]} ${day} ${date.toISOString().slice(11, 19)} dnsmasq[8547]: ${text}`;
}

/** The lines of a query that was refused. */
export function refusedQuery(at: number, number: number, name: string, type = "A"): string[] {
  return [
    resolverLine(at, `${number} 127.0.0.1/35152 query[${type}] ${name} from 127.0.0.1`),
    resolverLine(at, `${number} 127.0.0.1/35152 config error is REFUSED (EDE: not ready)`),
  ];
}

/** The lines of a query that was answered. */
export function answeredQuery(at: number, number: number, name: string, address: string): string[] {
  const type = address.includes(":") ? "AAAA" : "A";
  return [
    resolverLine(at, `${number} 127.0.0.1/35152 query[${type}] ${name} from 127.0.0.1`),
    resolverLine(at, `${number} 127.0.0.1/35152 forwarded ${name} to 10.0.2.3`),
    resolverLine(at, `${number} 127.0.0.1/35152 reply ${name} is ${address}`),
  ];
}

export function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
