#!/bin/bash
# host.sh NAME GROUP: one host of the lab.
#
# Makes a network, mount, process, hostname and IPC namespace with private copies of what container
# tools write to, prints "ready PID" (the host's first process, seen from outside), and lives until
# its standard input ends. So a host cannot outlive its test, not even a killed one; with its first
# process every process in it dies, and with its mounts every file. GROUP is the cgroup below which
# the host's container runtimes work; it is removed at the end.
set -eu

outside() {
    unshare --net --mount --pid --uts --ipc --propagation private --fork --kill-child \
        "$0" --inside "$1" || true
    find /sys/fs/cgroup -maxdepth 2 -type d -name "$2" -prune -exec find {} -depth -type d -delete \;
}

inside() {
    local name=$1 pid dir
    read -r pid _ </proc/self/stat # the old /proc still tells the outer process id
    mount -t proc proc /proc
    fresh_sys
    mount -t tmpfs tmpfs /run
    mkdir -p /run/lock /run/netns /run/containerd /run/.overlay
    mount -t tmpfs tmpfs /opt
    mount -t tmpfs tmpfs /dev/shm
    # Writes to /etc and /var stay in the host. The data directories are a plain tmpfs because an
    # overlay cannot be the upper layer of a runtime's own overlay.
    overlay /etc
    overlay /var
    for dir in /etc/cni /etc/docker /etc/containers \
        /var/lib/cni /var/lib/containerd /var/lib/docker /var/lib/containers /var/lib/etcd; do
        mkdir -p "$dir"
        mount -t tmpfs tmpfs "$dir"
    done
    mkdir -p /etc/cni/net.d /opt/cni/bin
    rm -f /etc/machine-id
    tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
    echo "$name" >/etc/hostname
    echo "$name" >/proc/sys/kernel/hostname
    ip link set lo up
    echo "ready $pid"
    while read -r _; do :; done
}

# A sysfs of this network namespace (so that /sys/class/net is right) with the machine's cgroups.
fresh_sys() {
    local dir
    mount --rbind /sys /mnt
    umount -l /sys
    mount -t sysfs sysfs /sys
    for dir in fs/cgroup fs/bpf kernel/debug kernel/tracing kernel/security; do
        if mountpoint -q "/mnt/$dir"; then mount --rbind "/mnt/$dir" "/sys/$dir"; fi
    done
    umount -l /mnt
}

# overlay DIR: what is written to DIR from here on stays in memory.
overlay() {
    local store=/run/.overlay$1
    mkdir -p "$store/upper" "$store/work"
    mount -t overlay -o "lowerdir=$1,upperdir=$store/upper,workdir=$store/work" overlay "$1"
}

if [ "$1" = --inside ]; then inside "$2"; else outside "$1" "$2"; fi
