import {
  ANNOTATION,
  findMountFault,
  GATE_SYSCTL,
  RELEASED_SYSCTL,
} from "@terok-shield/hook-entrypoint/contract";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { PodmanArgumentError, type PodmanRunArguments, parsePodmanRunArguments } from "./podman-arguments.ts";

const NOTHING: PodmanRunArguments = {
  published: [],
  mountSources: [],
  detached: false,
  interactive: false,
  tty: false,
  removes: false,
  hostNames: [],
  hasHostsFile: true,
  hasOwnHostsFile: false,
  image: "alpine",
};
const tcp = (...ports: number[]) => ports.map((port) => ({ port, protocol: "tcp" as const }));
const udp = (...ports: number[]) => ports.map((port) => ({ port, protocol: "udp" as const }));
const mount = (source: string, destination: string, writable = true) => ({ source, destination, writable });

/** Flags that pass, and what is read from them; `alpine` follows. */
const ACCEPTED: readonly (readonly [flags: readonly string[], found: Partial<PodmanRunArguments>])[] = [
  [[], {}],
  [["-it"], { interactive: true, tty: true }],
  [["-i", "--tty"], { interactive: true, tty: true }],
  [["-it=false"], { interactive: true }],
  [["-i=T", "-t=0"], { interactive: true }],
  [["--interactive=TRUE", "--tty=f"], { interactive: true }],
  [["-d"], { detached: true }],
  [["-d", "--detach=false"], {}],
  [["-dp", "80:80"], { detached: true, published: tcp(80) }],
  [["-dp80:80"], { detached: true, published: tcp(80) }],
  [["-itd=false", "-p=80"], { interactive: true, tty: true, published: tcp(80) }],
  [["--rm"], { removes: true }],
  [["--rm=1", "--rm=0"], {}],
  [["--rmi"], { removes: true }],
  [["--restart", "always"], { restartPolicy: "always" }],
  [["--restart=no", "--restart=on-failure:3"], { restartPolicy: "on-failure:3" }],
  [["--restart="], {}],

  [["-p", "80"], { published: tcp(80) }],
  [["-p80"], { published: tcp(80) }],
  [["--publish=8080:80"], { published: tcp(80) }],
  [["-p", ":80"], { published: tcp(80) }],
  [["-p", "080"], { published: tcp(80) }],
  [["-p", "127.0.0.1:8080:80"], { published: tcp(80) }],
  [["-p", "127.0.0.1::80"], { published: tcp(80) }],
  [["-p", "[::1]:8080:80"], { published: tcp(80) }],
  [["-p", "[::]::80/udp"], { published: udp(80) }],
  [["-p", "[127.0.0.1]:8080:80"], { published: tcp(80) }],
  [["-p", "80/udp"], { published: udp(80) }],
  [["-p", "80/TCP"], { published: tcp(80) }],
  [["-p", "8000-8002:9000-9002"], { published: tcp(9000, 9001, 9002) }],
  [["-p", "53/udp,53,53"], { published: [...udp(53), ...tcp(53)] }],
  [["-p", "80", "-p", "8080:80", "-p443:443"], { published: tcp(80, 443) }],
  [["-p", "1-1000"], { published: tcp(...Array.from({ length: 1000 }, (_, index) => index + 1)) }],

  [["-v.:/src"], { mountSources: [mount(".", "/src")] }],
  [["-v", "./x:/src:ro,z"], { mountSources: [mount("./x", "/src", false)] }],
  [["-v", "~/x:/work"], { mountSources: [mount("~/x", "/work")] }],
  [["--volume=/usr:/usr:ro"], { mountSources: [mount("/usr", "/usr", false)] }],
  [["-v", "/src:/src:O"], { mountSources: [mount("/src", "/src", false)] }],
  [
    ["-v", "cache:/c:O,upperdir=/up,workdir=/work"],
    { mountSources: [mount("/up", "/c"), mount("/work", "/c")] },
  ],
  [["-v", "cache:/cache", "-v", "/anonymous"], {}],
  [["-v", "./dev:/x"], { mountSources: [mount("./dev", "/x")] }],
  [["-v", "/dev/dri:/dev/dri"], { mountSources: [mount("/dev/dri", "/dev/dri")] }],
  [["-v", "/:/host:ro"], { mountSources: [mount("/", "/host", false)] }],
  [
    ["-v", "/a:/etc/ssl:ro", "-v", "/b:/etc/hosts"],
    { mountSources: [mount("/a", "/etc/ssl", false), mount("/b", "/etc/hosts")] },
  ],
  [["--mount", "type=bind,src=/a,dst=/b"], { mountSources: [mount("/a", "/b")] }],
  [["--mount=type=bind,source=/a,target=/b,ro"], { mountSources: [mount("/a", "/b", false)] }],
  [
    ["--mount", "type=bind,source=/a,destination=/b,readonly=TRUE"],
    { mountSources: [mount("/a", "/b", false)] },
  ],
  [["--mount", "type=bind,source=/a,dest=/b,ro=false"], { mountSources: [mount("/a", "/b")] }],
  [["--mount", "type=bind,source=/a,dst=/b,rw=false"], { mountSources: [mount("/a", "/b", false)] }],
  [["--mount", "type=bind,dst=/b"], { mountSources: [mount("/b", "/b")] }],
  [["--mount", '"type=bind","src=/a,b","dst=/b"'], { mountSources: [mount("/a,b", "/b")] }],
  [["--mount", '"type=bind","src=/a,""b",dst=/b'], { mountSources: [mount('/a,"b', "/b")] }],
  [
    ["--mount", "type=glob,src=/usr/lib/lib*.so,dst=/lib,ro"],
    { mountSources: [mount("/usr/lib/", "/lib", false)] },
  ],
  [["--mount", "type=volume,src=cache,dst=/cache", "--mount", "type=tmpfs,dst=/tmp,tmpfs-size=1m"], {}],
  [["--mount", "type=image,src=fedora,dst=/fedora,rw=true", "--tmpfs", "/run:size=64m,mode=1777"], {}],
  [["--device", "/dev/kvm"], { mountSources: [mount("/dev/kvm", "/dev/kvm")] }],
  [["--device=/dev/sr0:/dev/cdrom:r"], { mountSources: [mount("/dev/sr0", "/dev/cdrom", false)] }],
  [
    ["--device", "/dev/fuse:rw,/dev/dri"],
    { mountSources: [mount("/dev/fuse", "/dev/fuse"), mount("/dev/dri", "/dev/dri")] },
  ],
  [["--device", "nvidia.com/gpu=all", "--gpus", "all"], {}],
  [["--secret", "token", "--secret=token,type=env,target=TOKEN", "--secret", "token,target=token"], {}],
  [["--init", "--init-path=/opt/tini"], { mountSources: [mount("/opt/tini", "/run/podman-init", false)] }],
  [["--rootfs"], { mountSources: [mount("alpine", "/")] }],
  [["--rootfs", "--rootfs=false"], {}],

  [["-e", "A=1", "-eB=2", "--env", "-it", "-w/src", "-u", "1000:1000", "-h", "box", "-q"], {}],
  [["-l", "a=b", "-m", "1g", "-c2", "-a", "stdout", "--cpus", "0.5"], {}],
  [["--privileged=false", "-P=false", "--publish-all=0", "--transient-store=false"], {}],
  [["--cap-add=SYS_PTRACE,net_bind_service", "--cap-add", "PERFMON", "--cap-drop=ALL"], {}],
  [["--annotation=note=terok.shield.name", "--annotation", "org.example=1,com.example=2"], {}],
  [["--userns=keep-id:uid=1,gid=1", "--userns", "auto", "--userns=nomap", "--userns="], {}],
  [["--pid=", "--pid=private", "--ipc=none", "--ipc", "shareable", "--uts=host", "--cgroupns=host"], {}],
  [
    [
      "--security-opt=label=disable",
      "--security-opt",
      "no-new-privileges",
      "--security-opt",
      "mask=/proc/acpi",
    ],
    {},
  ],
  [["--security-opt", "seccomp=/etc/filter.json", "--security-opt=apparmor:unconfined"], {}],
  [["--sysctl", "net.core.somaxconn=1024", "--sysctl=net.ipv4.ip_unprivileged_port_start=0"], {}],
  [
    ["--sysctl=net.ipv4.tcp_syncookies=0,kernel.shmmax=1", "--sysctl", "net.ipv6.conf.all.disable_ipv6=1"],
    {},
  ],
  [
    ["--add-host=a:1.2.3.4", "--hosts-file=none", "--no-hostname"],
    { hostNames: ["a"], hasOwnHostsFile: true },
  ],
  [
    ["--add-host", "a;b.test:2001:db8::1", "--add-host=c:1.2.3.4,d:1.2.3.5"],
    { hostNames: ["a", "b.test", "c", "d"] },
  ],
  [["--no-hosts"], { hasHostsFile: false }],
  [["--no-hosts", "--no-hosts=false"], {}],
  [["--volumes-from", "other", "--env-file", "f", "--systemd=always", "--replace", "--preserve-fds=0"], {}],
  [["--seccomp-policy=default", "--tls-verify=0", "--disable-content-trust", "--pull", "never"], {}],
  [["--log-level=debug", "--storage-opt", "a=b", "--cgroup-manager", "cgroupfs", "--syslog"], {}],
  [
    ["--auth-file=f", "--override-arch", "arm64", "--healthcheck-command", "true", "--health-startup-cmd=x"],
    {},
  ],
  [["--"], {}],
];

describe("passes", () => {
  test.each(ACCEPTED)("%j", (flags, found) => {
    expect(parsePodmanRunArguments([...flags, "alpine", "--network=host"])).toEqual({ ...NOTHING, ...found });
  });
});

describe("finds the image where podman does", () => {
  test.each([
    [["alpine", "-p", "80"], "alpine"],
    [["--", "-it"], "-it"],
    [["-"], "-"],
    [["--privileged=false", "true"], "true"],
    [["--tls-verify", "false"], "false"],
    [["-p80", "443"], "443"],
    [["-e", "--", "x"], "x"],
    [["-it", "--env", "--network=host", "x"], "x"],
    [["-h", "-v", "x"], "x"],
    [["–it", "x"], "–it"],
  ])("%j is %s", (args, image) => {
    expect(parsePodmanRunArguments(args).image).toBe(image);
  });
});

test("--rootfs makes a host path of the image", () => {
  const read = (image: string) => parsePodmanRunArguments(["--rootfs", image]).mountSources;
  expect(read("/srv/root")).toEqual([mount("/srv/root", "/")]);
  expect(read("/srv/root:O")).toEqual([mount("/srv/root", "/", false)]);
  expect(read("/srv/a:b:idmap=uids=0-1-10")).toEqual([mount("/srv/a:b", "/")]);
});

/** What is refused: a part of the reason, then each spelling. */
const REFUSED: Readonly<Record<string, readonly (readonly string[])[]>> = {
  "take the container out of its shield": [
    ...[
      "none",
      "host",
      "container:x",
      "ns:/proc/1/ns/net",
      "bridge",
      "slirp4netns",
      "pasta",
      "mynet",
      "",
    ].map((value) => [`--network=${value}`]),
    ["--network", "host"],
    ["--net", "host"],
    ["--net=private"],
    ["--net=slirp4netns:allow_host_loopback=true"],
  ],
  "on a network that it does not join": [["--network-alias=a"], ["--network-alias", "a"]],
  "choose an address": [
    ["--ip=10.0.2.9"],
    ["--ip", "10.0.2.9"],
    ["--ip6=fd00::9"],
    ["--mac-address", "92:d0:c6:0a:29:33"],
  ],
  "change the network under": [
    ["--network-config-dir=/x"],
    ["--cni-config-dir=/x"],
    ["--network-cmd-path=/x"],
    ["--network-backend=cni"],
  ],
  "names past the shield": [["--dns=8.8.8.8"], ["--dns", "none"]],
  "how the container asks": [["--dns-option=ndots:1"], ["--dns-opt", "ndots:1"]],
  "names that nobody allowed": [["--dns-search=example.com"], ["--dns-search", "."]],
  "network of a pod": [["--pod=p"], ["--pod", "new:p"], ["--pod-id-file=/x"]],
  "another name": [["--name=x"], ["--name", "x"]],
  "every capability": [
    ["--privileged"],
    ["--privileged=true"],
    ["--privileged=T"],
    ["--privileged=1"],
    ["--privileged", "--privileged=0"],
  ],
  "whatever ports": [["-P"], ["-dP"], ["-itP=1"], ["--publish-all"], ["--publish-all=TRUE"]],
  "asks podman for help": [["--help"]],
  "shield's hooks": [
    ["--hooks-dir=/x"],
    ["--hooks-dir", "/x"],
    ["--runtime=runsc"],
    ["--runtime-flag", "x"],
    ["--conmon=/x"],
  ],
  "nobody has judged": [["--cdi-spec-dir=/x"]],
  "whatever a file names": [["--default-mounts-file", "/x"]],
  "an open file of the host": [["--preserve-fds=1"], ["--preserve-fd", "3"], ["--preserve-fds", "x"]],
  "does not find it again": [
    ["--root=/x"],
    ["--runroot", "/x"],
    ["--tmpdir=/x"],
    ["--ns", "x"],
    ["--namespace=x"],
    ["--storage-driver=vfs"],
    ["--imagestore=/x"],
    ["--volumepath=/x"],
    ["--transient-store"],
  ],
  "give the container NET_ADMIN": [
    ["--cap-add=NET_ADMIN"],
    ["--cap-add", "net_admin"],
    ["--cap-add=CAP_NET_ADMIN"],
    ["--cap-add=Cap_Net_Admin"],
    ["--cap-add=CHOWN,NET_ADMIN"],
    ["--cap-add=chown", "--cap-add", "chown, net_admin"],
    ['--cap-add="NET_ADMIN"'],
    ["--cap-add=ALL"],
    ["--cap-add", "all"],
  ],
  "could undo its shield": [
    ["--cap-add=NET_RAW"],
    ["--cap-add=cap_sys_admin"],
    ["--cap-add=bpf"],
    ["--cap-add=SYS_MODULE"],
  ],
  "or the shield goes by": [
    ...Object.values(ANNOTATION).map((key) => [`--annotation=${key}=x`]),
    ["--annotation", "terok.shield.name=x"],
    ["--annotation", " terok.shield.name = x"],
    ["--annotation=a=b,terok.shield.name=x"],
    ['--annotation=a=b,"terok.shield.name=x,y"'],
    ["--annotation", "a=b\nterok.shield.name=x"],
    ["--annotation=io.podman.annotations.privileged=TRUE"],
    ["--annotation=run.oci.handler=krun"],
    ["--annotation", "run.oci.keep_original_groups=1"],
    ["--annotation=org.criu.config=/x"],
    ["--annotation=krun.cpus=1"],
  ],
  "how packets go": [
    [`--sysctl=${GATE_SYSCTL}=0`],
    ["--sysctl", `${RELEASED_SYSCTL}=1`],
    ["--sysctl=net.ipv4.ip_forward=1"],
    ["--sysctl", "net.ipv4.conf.all.route_localnet=1"],
    ["--sysctl=net.core.somaxconn=1,net.ipv4.conf.lo.forwarding=1"],
    ["--sysctl=net/ipv4/conf/all/forwarding=1"],
    ["--sysctl=net..ipv4.conf.all.forwarding=1"],
    ["--sysctl= net.ipv4.conf.all.forwarding =1"],
    ["--sysctl=net.ipv4.tcp_x/../conf/all/forwarding=1"],
    ["--sysctl=net.ipv4.tcp_fwmark_accept=1"],
    ["--sysctl=net.ipv6.conf.all.forwarding=1"],
    ["--sysctl=net.netfilter.nf_conntrack_max=1"],
  ],
  "system call filter": [
    ["--security-opt=seccomp=unconfined"],
    ["--security-opt", "seccomp:unconfined"],
    ["--seccomp-policy=image"],
  ],
  "kernel settings of the network": [
    ["--security-opt=unmask=ALL"],
    ["--security-opt", "unmask=/proc/sys"],
    ["--security-opt=unmask:/proc/sys"],
    ["--security-opt=systempaths=unconfined"],
    ["--security-opt", "proc-opts=rw"],
  ],
  "not known as a security option": [["--security-opt=new=thing"], ["--security-opt="]],
  "share a user namespace": [
    ["--userns=host"],
    ["--userns", "container:x"],
    ["--userns=ns:/proc/1/ns/user"],
    ["--userns=pod"],
  ],
  "processes outside": [["--pid=host"], ["--pid", "container:x"], ["--pid=ns:/proc/1/ns/pid"]],
  "share memory": [["--ipc=host"], ["--ipc", "container:x"], ["--ipc=ns:/x"]],
  "would cover /etc/resolv.conf": [
    ["-v", "/x:/etc/resolv.conf"],
    ["-v/x:/etc/resolv.conf:ro"],
    ["-dv=/x:/etc"],
    ["--volume=/x://etc/"],
    ["-v", "/x:/srv/../etc/./resolv.conf"],
    ["-v", "name:/"],
    ["-v", "/etc"],
    ["-v", "/x:/etc/resolv.conf/y"],
    ["--mount=type=bind,src=/x,dst=/etc/resolv.conf"],
    ["--mount", "type=tmpfs,destination=/etc"],
    ["--mount", "type=bind,src=/etc"],
    ["--mount", 'type=bind,src=/x,"target=/etc/resolv.conf"'],
    ["--mount", "type=glob,src=/etc/res*"],
    ["--mount", "type=volume,src=v,target=/"],
    ["--tmpfs", "/etc"],
    ["--tmpfs=/run,/etc:rw"],
    ["--secret", "s,target=/etc/resolv.conf"],
    ["--secret", "s,type=mount,target=../../etc/resolv.conf"],
    ["--device", "/dev/null:/etc/resolv.conf"],
  ],
  "a way past the shield": [
    ["--device=/dev/net/tun"],
    ["--device", "/dev/net/tun:/dev/x:rw"],
    ["--device=/dev/net"],
    ["--device=/dev"],
    ["--device=/dev//net/../net/tun"],
    ["--device=/dev/null,/dev/net/tun"],
    ['--device="/dev/net/tun"'],
    ["--device=/dev/vhost-net"],
    ["--device=/dev/vhost-vsock"],
    ["--device=/dev/vsock"],
    ["--device=/dev/mem"],
    ["--device=/dev/kmem"],
    ["-v", "/dev:/dev"],
    ["-v/dev/net/tun:/tun"],
    ["-v", "/srv/../dev/:/x:ro"],
    ["--mount=type=bind,src=/dev/net,dst=/x"],
    ["--mount", 'type=bind,"src=/dev/vsock",dst=/x'],
    ["-v", "/src:/dst:O,upperdir=/dev/net,workdir=/w"],
  ],
  "relative path": [["--device=../../dev/net/tun"], ["--device=/dev/null,dev/net/tun"], ["--device="]],
  "behind a volume": [
    ["--mount=type=volume,src=v,dst=/x,volume-opt=device=/"],
    ["--mount", 'dst=/x,"volume-opt=o=bind"'],
  ],
  "cannot judge": [["--mount=type=BIND,src=/x,dst=/y"], ["--mount", "type=new,dst=/y"]],
  "no place in the container": [["--mount=type=tmpfs"], ["-v", "/x:"], ["--tmpfs="]],
  "too many colons": [["-v", "/a:/b:ro:z"]],
  "is not [[ADDRESS:]HOST-PORT:]CONTAINER-PORT": [
    ...[
      "",
      "x",
      "0",
      "65536",
      "80-80",
      "90-80",
      "80-",
      "-80",
      "80/",
      "80/icmp",
      "80/tcp/udp",
      "80,",
      " 80",
      "0:80",
      "80:",
      "1:2:3:4",
      "::80",
    ],
    ...[
      "localhost:80:80",
      "[::1]:80",
      "[::1:80:80",
      "::1:80:80",
      "[x]:80:80",
      "80:0",
      "80\n81",
      '"80"',
      "1e3",
      "0x50",
      "80:80:80",
    ],
  ].map((value) => ["-p", value]),
  "host ports to": [["-p", "8000-8001:80"], ["-p8000:80-81"]],
  "more than 1000": [
    ["-p", "1-1001"],
    ["-p1-1000", "-p", "1001"],
    ["-p", "1-65535:1-65535"],
  ],
  SCTP: [["-p", "80/sctp"], ["-p80/SCTP"]],
  "not known as a flag": [
    ["--profiles", "dev"],
    ["--netwo=none"],
    ["--NETWORK=none"],
    ["--network_alias=x"],
    ["--init-ctr=always"],
    ["--constructor"],
    ["--__proto__=x"],
    ["-x"],
    ["-ix"],
    ["-i="],
    ["-é"],
    ["---i"],
    ["--=i"],
    ["-test.v"],
    ["-itest.v"],
  ],
  "belongs to podman itself": [
    ["--remote"],
    ["--url=unix:///x"],
    ["--connection", "c"],
    ["--module=m"],
    ["--identity=x"],
  ],
  "neither on nor off": [["--privileged=yes"], ["--rm="], ["-d=maybe"], ["-itd=2"]],
};

describe.each(Object.entries(REFUSED))("refused because of «%s»", (reason, spellings) => {
  test.each(spellings.map((args) => [args]))("%j", (args) => {
    expect(() => parsePodmanRunArguments([...args, "alpine"])).toThrow(PodmanArgumentError);
    expect(() => parsePodmanRunArguments([...args, "alpine"])).toThrow(reason);
  });
});

test.each([[[]], [["-it"]], [["--"]], [["-it", ""]], [["-e", "alpine"]], [["-p", "80", "--"]]])(
  "%j lacks an image",
  (args) => {
    expect(() => parsePodmanRunArguments(args)).toThrow("No image is given.");
  },
);

test.each([[["-e"]], [["-it", "--env"]], [["-itp"]]])("%j lacks a value", (args) => {
  expect(() => parsePodmanRunArguments(args)).toThrow("needs a value");
});

test.each([
  [
    ["--network=host"],
    "--network=host would take the container out of its shield. Drop it: terok-shield sets the network itself.",
  ],
  [
    ["--net", "host"],
    "--net host would take the container out of its shield. Drop it: terok-shield sets the network itself.",
  ],
  [["-itP"], "-itP would open whatever ports the image names. Write -p for each port that is to be reached."],
  [
    ["-v", "/my files:/etc"],
    '-v "/my files:/etc" would cover /etc/resolv.conf, by which the container asks the shield for names. Choose another destination.',
  ],
  [
    ["--annotation=terok.shield.\u001b[31m\u202e=x"],
    '"--annotation=terok.shield.\\u001b[31m\\u{202e}=x" would set "terok.shield.\\u001b[31m\\u{202e}", which podman, its runtime or the shield goes by. Choose another key.',
  ],
])("%j is refused in one sentence and what to do", (args, message) => {
  expect(() => parsePodmanRunArguments(args)).toThrow(new PodmanArgumentError(message));
});

test("a long argument is cut in the message", () => {
  const read = () => parsePodmanRunArguments([`--network=${"x".repeat(5000)}`]);
  expect(read).toThrow(/^"--network=x{110}…" would/);
});

test("NUL is refused wherever it stands", () => {
  expect(() => parsePodmanRunArguments(["alpine", "a\0b"])).toThrow('"a\\u0000b" holds a NUL character');
});

test("a device refused by name is one that the hook refuses too", () => {
  for (const [arg = ""] of REFUSED["a way past the shield"] ?? []) {
    const source = /^--device=(\/dev[\w/-]*)$/.exec(arg)?.[1]?.replace("//net/..", "");
    if (source === undefined) continue;
    expect(
      findMountFault({ source, writable: true }, { unwritable: [], unreachable: [] }, () => false),
    ).toBeDefined();
  }
});

// Ports beyond a thousand and flags after -- are faults of the whole, not of one flag.
const freelyMixed = ACCEPTED.map(([flags]) => flags).filter(
  (flags) => !flags.some((flag) => /^(--|1-1000)$/.test(flag)),
);
const acceptedFlags = fc
  .array(fc.constantFrom(...freelyMixed), { maxLength: 6 })
  .map((groups) => groups.flat());
const refusedFlags = fc.constantFrom(
  ...Object.entries(REFUSED).flatMap(([reason, spellings]) => spellings.map((args) => ({ reason, args }))),
);

test("no accepted flags before or after a refused one hide it", () => {
  fc.assert(
    fc.property(acceptedFlags, refusedFlags, acceptedFlags, (before, { reason, args }, after) => {
      expect(() => parsePodmanRunArguments([...before, ...args, ...after, "alpine"])).toThrow(reason);
    }),
    { numRuns: 2000 },
  );
});

test("what stands behind the image is the command's own", () => {
  fc.assert(
    fc.property(acceptedFlags, refusedFlags, (flags, { args }) => {
      expect(parsePodmanRunArguments([...flags, "alpine", ...args]).image).toBe("alpine");
    }),
  );
});

test("nothing but a PodmanArgumentError is ever thrown", () => {
  const words = fc.constantFrom(...ACCEPTED.flatMap(([flags]) => flags), ...Object.values(REFUSED).flat(2));
  const pieces = fc.array(
    fc.constantFrom(
      "-",
      "--",
      "=",
      ",",
      ":",
      "/",
      '"',
      "[",
      "]",
      "p",
      "v",
      "e",
      "mount",
      "80",
      "\n",
      "type",
      "é",
    ),
  );
  const argument = fc.oneof(
    words,
    fc.string(),
    anyText(),
    pieces.map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 8 }), (args) => {
      try {
        parsePodmanRunArguments(args);
      } catch (error) {
        expect(error).toBeInstanceOf(PodmanArgumentError);
        expect((error as Error).message).toMatch(/^[^\p{Cc}\p{Bidi_Control}]+\.$/u);
      }
    }),
    { numRuns: 3000 },
  );
});
