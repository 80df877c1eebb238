import type { HostUser } from "./host-user.ts";

export const IMAGE = "localhost/lab:latest";

/** The image holds links only; with these arguments a container has every program of the machine. */
export const IMAGE_ARGS = ["--volume", "/usr:/usr:ro", IMAGE];

const BUILD = `
set -eu
tree=$(mktemp -d)
cd "$tree"
mkdir dev etc proc root run sys tmp usr var
chmod 0755 .
chmod 1777 tmp
for link in /bin /sbin /lib*; do
  [ ! -L "$link" ] || cp --no-dereference "$link" .
done
cp --archive /etc/alternatives etc
echo 'hosts: files dns' > etc/nsswitch.conf
# As in Debian's images: without it a name in /etc/hosts has one family only.
echo 'multi on' > etc/host.conf
printf '%s\\n' root:x:0:0:root:/root:/bin/sh user:x:1000:1000:user:/tmp:/bin/sh > etc/passwd
printf '%s\\n' root:x:0: user:x:1000: > etc/group
tar --create --owner=0 --group=0 . | podman import --quiet - ${IMAGE}
rm -r "$tree"
`;

export async function importImage(user: HostUser): Promise<void> {
  await user.mustRun("sh", ["-c", BUILD]);
}
