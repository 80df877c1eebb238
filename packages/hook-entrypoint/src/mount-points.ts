/** A mount point of the host, as the runtime sees it. */
export interface MountPoint {
  readonly path: string;
  /** What it shows: a directory or file of a file system, which other mount points may show, too. */
  readonly device: string;
  readonly root: string;
  /** The file system's type. */
  readonly type: string;
  readonly writable: boolean;
}

/** Reads /proc/PID/mountinfo (proc(5)). */
export function parseMountInfo(text: string): MountPoint[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const [device = "", root = "", path = "", options = ""] = fields.slice(2);
      const [type = "", , superOptions = ""] = fields.slice(fields.indexOf("-", 6) + 1);
      return {
        path: unescapePath(path),
        device,
        root: unescapePath(root),
        type,
        writable: [options, superOptions].every((list) => !list.split(",").includes("ro")),
      };
    });
}

function unescapePath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}
