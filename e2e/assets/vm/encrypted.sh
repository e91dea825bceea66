# Two hosts on an underlay of one family, with an encrypted overlay of both: what the checks of encrypted overlays
# begin with, after tunnels.sh. $under is 4 or 6.
#
#     netd HOST WORDS...           netd network on a host
#     joins HOST NETWORK NAME      a container on a network; its addresses are ${v4[NAME]} and ${v6[NAME]}
#     sealed                       makes network `sealed`, with c1 on h1 and c2 on h2
#     watch NAME PLACE LINK FILTER captures there, from now on, into /run/NAME.pcap
#     caught NAME [FILTER]         how many packets it has
#     device HOST                  the number of the device that encrypts; one that was made anew has another
#     inner HOST                   its inner address
#     back HOST                    starts netd there again, and waits until it serves networks
#     die HOST                     kills netd there
marker=IF-YOU-CAN-READ-THIS-IT-IS-NOT-ENCRYPTED
declare -A inits

# A host has a first process, in whose mounts namespaces are pinned: they outlive netd.
begin() {
    nsenter --net="/run/netns/$1" -- unshare --mount --propagation slave --uts --pid --fork --kill-child bash -c '
        set -e
        busybox hostname "$0"
        mount -t proc proc /proc
        mount --bind "/run/$0/flannel" /run/flannel
        mount --bind "/run/$0/netd" /run/netd
        mount --bind "/run/$0/lib" /var/lib/netd
        mount --bind "/run/$0/machine-id" /etc/machine-id
        : >"/run/$0/begun"
        exec tail -f /dev/null' "$1" &
    local outer=$!
    within 20 test -e "/run/$1/begun"
    inits[$1]=$(child "$outer")
}

# The process that another one has begun.
child() {
    grep -o '^[0-9]*' "/proc/$1/task/$1/children"
}

as_host() {
    exec nsenter --target "${inits[$1]}" --mount --uts --pid --net -- "${@:2}"
}

agent() {
    as_host "$1" /opt/e2e/netd run --etcd-endpoints "$store" --iface eth0 \
        --healthz-ip 127.0.0.1 --healthz-port 8081 --log debug >>"/run/$1/log" 2>&1 &
    local outer=$!
    within 20 child "$outer" >/dev/null
    agents[$1]=$(child "$outer")
}

die() {
    kill "-${2:-KILL}" "${agents[$1]}"
    within 20 refute test -e "/proc/${agents[$1]}"
}

netd() {
    (as_host "$1" /opt/e2e/netd network "${@:2}")
}

back() {
    agent "$1"
    within 60 netd "$1" ls >/dev/null
}

joins() {
    ip netns add "$3"
    within 20 netd "$1" inspect "$2" >/dev/null
    within 20 netd "$1" connect "$2" "netns:/run/netns/$3" >/dev/null
    v4[$3]=$(inside "$3" ip -4 -o address show eth0 | grep -o 'inet [0-9.]*' | cut -d' ' -f2)
    v6[$3]=$(inside "$3" ip -6 -o address show eth0 scope global | sed -n 's/.*inet6 \([0-9a-f:]*\).*/\1/p')
}

sealed() {
    local name
    [ "$under" = 4 ] || store=http://[2001:db8::254]:2379
    hosts
    # Who tcpdump is to be.
    echo root:x:0:0:root:/root:/bin/sh >/etc/passwd
    ETCDCTL_API=3 within 60 etcdctl --endpoints "$store" get x >/dev/null
    for name in h1 h2; do
        # With both families, what is between hosts is IPv4.
        [ "$under" = 4 ] || inside "$name" ip -4 address flush dev eth0
        begin "$name"
        back "$name"
    done
    dual=yes
    netd h1 create -d overlay --opt encrypted --ipv6 --subnet 172.30.7.0/24 --subnet fd07::/64 sealed >/dev/null
    joins h1 sealed c1
    joins h2 sealed c2
    serve c1 9000
    serve c2 9000
}

# The VNI of a network, as etcd has it.
vni() {
    local id
    id=$(netd h1 inspect "$1" | grep -o '"Id": *"[0-9a-f]*"' | head -n 1 | grep -o '[0-9a-f]\{64\}')
    ETCDCTL_API=3 etcdctl --endpoints "$store" get --prefix /netd/v1/global/vnis/ |
        grep -B 1 "^$id" | head -n 1 | grep -o '[0-9]*$'
}

watch() {
    local name=$1 place=$2 link=$3
    shift 3
    inside "$place" tcpdump -Z root --immediate-mode -U -n -i "$link" -w "/run/$name.pcap" "$@" 2>"/run/$name.watch" &
    within 10 grep "listening on" "/run/$name.watch" >/dev/null || {
        cat "/run/$name.watch" >&2
        return 1
    }
}

caught() {
    tcpdump -Z root -n -r "/run/$1.pcap" "${@:2}" 2>/dev/null | wc -l
}

catches() {
    [ "$(caught "$1" "${@:3}")" -ge "$2" ]
}

device() {
    inside "$1" ip -o link show netd-wg | grep -o '^[0-9]*'
}

inner() {
    inside "$1" ip -6 -o address show netd-wg | grep -o 'inet6 [0-9a-f:]*' | cut -d' ' -f2
}

# The bytes of a file in hexadecimal, in one line.
bytes() {
    busybox hexdump -v -e '/1 "%02x"' "$1"
}

uplink() {
    if [ "$under" = 4 ]; then echo "192.0.2.$1"; else echo "2001:db8::$1"; fi
}
