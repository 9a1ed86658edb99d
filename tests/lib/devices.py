# SPDX-License-Identifier: LGPL-2.1-or-later
"""A /dev for one command: the usual nodes, and a /dev/kvm as a test wants it. It needs root, or a skip says why."""

import pytest

from lib.process import run

# "$1" is an empty directory that becomes /dev in a mount namespace of the command's own; "$2" says what /dev/kvm is.
SCRIPT = r"""set -e
mount -t tmpfs -o mode=755 none "$1"
for name in null zero full random urandom tty; do
    : >"$1/$name"
    mount --bind "/dev/$name" "$1/$name"
done
ln -s /proc/self/fd "$1/fd"
mkdir "$1/shm" "$1/pts"
mount --rbind /dev/shm "$1/shm"
mount --rbind /dev/pts "$1/pts"
case $2 in
absent) ;;
closed) : >"$1/kvm" && mount --bind /dev/null "$1/kvm" ;; # opens, and is no KVM
forbidden) : >"$1/kvm" && chmod 600 "$1/kvm" ;;
esac
mount --rbind "$1" /dev
shift 2
exec "$@"
"""


def with_kvm(kind, directory):
    """The words that run a command with /dev/kvm "absent", "closed" or "forbidden" (to all but root)."""
    private = run(["unshare", "--mount", "true"])
    if private.rc:
        pytest.skip(f"no private mounts here: {private.stderr.strip()}")
    place = directory / f"dev-{kind}"
    place.mkdir(exist_ok=True)
    return ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(place), kind]
