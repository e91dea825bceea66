# Two hosts with netd, a switch between them and etcd on it, a container on each: what the checks of
# tunnels begin with.
#
#     hosts                    makes hosts h1 and h2, and starts etcd
#     cluster CONFIG           the same with containers c1 and c2, writes CONFIG into etcd, starts netd, and waits
#     agent HOST               starts netd there; its process is ${agents[HOST]}
#     member HOST CONTAINER    a container on the host's subnet; its addresses are ${v4[CONTAINER]}
#                              and ${v6[CONTAINER]}
#     exchange                 ping and TCP both ways between c1 and c2, over each family there is
#     survives                 kills netd on both hosts and starts it again, while pings go on both
#                              ways: none may be lost, and the new agents find nothing to change
#     moves DEVICE MTU [LOST]  h1 gets another address and MTU while pings go on both ways: the device, which
#                              has this MTU then, stays, and each container loses at most LOST pings (0)
#     cleans                   netd cleanup takes away all that netd has made on h1
#     through DEVICE           what c1 and c2 say to each other goes through this device of h1
declare -A agents v4 v6
pingers=()
store=http://192.0.2.254:2379
dual=

hosts() {
    local name number=0
    ip link add br0 type bridge
    ip address add 192.0.2.254/24 dev br0
    ip address add 2001:db8::254/64 dev br0 nodad
    ip link set br0 up
    etcd --data-dir /run/etcd --listen-client-urls "$store" --advertise-client-urls "$store" \
        --listen-peer-urls http://192.0.2.254:2380 >/run/etcd.log 2>&1 &
    container h1 h2
    for name in h1 h2; do
        number=$((number + 1))
        ip link add "port-$name" type veth peer name eth0 netns "$name"
        ip link set "port-$name" master br0 up
        inside "$name" ip link set lo up
        inside "$name" ip address add "192.0.2.$number/24" dev eth0
        inside "$name" ip address add "2001:db8::$number/64" dev eth0 nodad
        inside "$name" ip link set eth0 up
        mkdir -p "/run/$name/flannel" "/run/$name/netd" "/run/$name/lib"
        printf '%032d\n' "$number" >"/run/$name/machine-id"
    done
    mkdir -p /run/flannel /run/netd /var/lib/netd /etc
    : >/etc/machine-id
}

cluster() {
    local name
    container c1 c2
    hosts
    within 60 /opt/e2e/netd config set --etcd-endpoints "$store" "$1"
    case $1 in *EnableIPv6*) dual=yes ;; esac
    for name in h1 h2; do agent "$name"; done
    for name in h1 h2; do within 60 ready "$name"; done
    member h1 c1
    member h2 c2
}

agent() {
    as_host "$1" /opt/e2e/netd run --etcd-endpoints "$store" --iface eth0 \
        --healthz-ip 127.0.0.1 --healthz-port 8081 --log debug >>"/run/$1/log" 2>&1 &
    agents[$1]=$!
}

# Becomes a program on a host.
as_host() {
    local name=$1
    shift
    exec nsenter --net="/run/netns/$name" -- unshare --mount --uts bash -c '
        set -e
        busybox hostname "$0"
        mount --bind "/run/$0/flannel" /run/flannel
        mount --bind "/run/$0/netd" /run/netd
        mount --bind "/run/$0/lib" /var/lib/netd
        mount --bind "/run/$0/machine-id" /etc/machine-id
        exec "$@"' "$name" "$@"
}

ready() {
    inside "$1" busybox wget -q -O - http://127.0.0.1:8081/readyz >/dev/null &&
        [ "$(inside "$1" ip route show proto 78 | wc -l)" -ge 1 ]
}

member() {
    local name=$2 FLANNEL_SUBNET='' FLANNEL_IPV6_SUBNET='' FLANNEL_MTU=''
    # shellcheck source=/dev/null
    source "/run/$1/flannel/subnet.env"
    ip link add "up-$name" netns "$1" type veth peer name eth0 netns "$name"
    inside "$1" ip address add "$FLANNEL_SUBNET" dev "up-$name"
    v4[$name]=${FLANNEL_SUBNET%.1/*}.2
    inside "$name" ip address add "${v4[$name]}/24" dev eth0
    if [ -n "$FLANNEL_IPV6_SUBNET" ]; then
        inside "$1" ip address add "$FLANNEL_IPV6_SUBNET" dev "up-$name" nodad
        v6[$name]=${FLANNEL_IPV6_SUBNET%1/*}2
        inside "$name" ip address add "${v6[$name]}/64" dev eth0 nodad
    fi
    inside "$1" ip link set "up-$name" mtu "$FLANNEL_MTU" up
    inside "$name" ip link set eth0 mtu "$FLANNEL_MTU" up
    inside "$name" ip route add default via "${FLANNEL_SUBNET%/*}"
    [ -z "$FLANNEL_IPV6_SUBNET" ] || inside "$name" ip route add default via "${FLANNEL_IPV6_SUBNET%/*}"
    serve "$name" 9000
}

exchange() {
    within 20 pings c1 "${v4[c2]}"
    within 20 pings c2 "${v4[c1]}"
    # As large as the containers' MTU allows, in one packet.
    inside c1 busybox ping -c 1 -W 2 -s "$(($(cat_mtu c1) - 28))" "${v4[c2]}" >/dev/null
    said c1 "${v4[c1]}" "${v4[c2]}:9000"
    said c2 "${v4[c2]}" "${v4[c1]}:9000"
    [ -n "$dual" ] || return 0
    within 20 pings c1 "${v6[c2]}"
    within 20 pings c2 "${v6[c1]}"
    inside c1 busybox ping -c 1 -W 2 -s "$(($(cat_mtu c1) - 48))" "${v6[c2]}" >/dev/null
    said c1 "[${v6[c1]}]" "[${v6[c2]}]:9000"
    said c2 "[${v6[c2]}]" "[${v6[c1]}]:9000"
}

cat_mtu() {
    inside "$1" ip -o link show eth0 | grep -o 'mtu [0-9]*' | grep -o '[0-9]*'
}

# The other container sees this one's own address.
said() {
    local seen
    seen=$(BOUND=10000 probe "$1" tcp "$3")
    seen=${seen% *}
    same "${seen%:*}" "$2"
}

# Pings from both containers to the other, in turns of 2 s, until `pinged`.
pinging() {
    local name family
    rm -f /run/enough /run/pings-*
    pingers=()
    for name in c1 c2; do
        for family in v4 ${dual:+v6}; do
            until [ -e /run/enough ]; do
                inside "$name" busybox ping -i 0.1 -c 20 -W 5 "$(other "$name" "$family")" || true
            done >"/run/pings-$name-$family" 2>&1 &
            pingers+=($!)
        done
    done
}

# Lets the turns that go on end; prints how many pings each container has lost.
pinged() {
    local name
    : >/run/enough
    wait "${pingers[@]}"
    for name in c1 c2; do
        cat "/run/pings-$name"-* | awk -v name="$name" '
            /transmitted/ { sent += $1; lost += $1 - $4 }
            END { print name ": " lost + 0 " lost of " sent; exit !sent }'
    done
}

survives() {
    local name before
    before=$(devices; differed)
    pinging
    for name in h1 h2; do
        kill -9 "${agents[$name]}"
        wait "${agents[$name]}" || true
        inside "$name" busybox wget -q -O - http://127.0.0.1:8081/readyz && false
        agent "$name"
    done
    for name in h1 h2; do within 60 ready "$name"; done
    pinged >/run/pinged
    cat /run/pinged
    [ "$(grep -c ': 0 lost of' /run/pinged)" = 2 ]
    same "$(devices; differed)" "$before"
}

moves() {
    local before most
    before=$(devices)
    pinging
    inside h1 sysctl -qw net.ipv4.conf.all.promote_secondaries=1
    inside h1 ip address add 192.0.2.101/24 dev eth0
    inside h1 ip address change 192.0.2.1/24 dev eth0 preferred_lft 0
    within 20 published 192.0.2.101
    inside h1 ip link set eth0 mtu 1400
    within 20 has_mtu "$1" "$2"
    pinged >/run/pinged
    cat /run/pinged
    most=$(awk '{ if ($2 > most) most = $2 } END { print most + 0 }' /run/pinged)
    [ "$most" -le "${3:-0}" ]
    same "$(devices)" "$before"
    inside h1 ip address del 192.0.2.1/24 dev eth0
    within 5 pings c1 "${v4[c2]}"
    within 5 pings c2 "${v4[c1]}"
}

published() {
    ETCDCTL_API=3 etcdctl --endpoints "$store" get --prefix /coreos.com/network/subnets |
        grep "\"PublicIP\":\"$1\"" >/dev/null
}

has_mtu() {
    inside h1 ip link show "$1" | grep "mtu $2 " >/dev/null &&
        grep "FLANNEL_MTU=$2\$" /run/h1/flannel/subnet.env >/dev/null
}

# How often the agents have found something to change: not when they start again.
differed() {
    cat /run/h1/log /run/h2/log | grep -c 'the kernel differed'
}

cleans() {
    kill "${agents[h1]}"
    wait "${agents[h1]}"
    # Not `grep -q`, which ends at the first device and breaks the pipe of `ip`.
    inside h1 ip -o link show | grep flannel
    (as_host h1 /opt/e2e/netd cleanup --etcd-endpoints "$store")
    same "$(inside h1 ip -o link show | grep flannel || true)" ''
    same "$(inside h1 ip route show proto 78)" ''
}

other() {
    local -n of=$2
    case $1 in c1) echo "${of[c2]}" ;; *) echo "${of[c1]}" ;; esac
}

# Numbers of the tunnels' devices: one that was made anew would have another.
devices() {
    inside h1 ip -o link show | grep -o '^[0-9]*: flannel[^:@]*'
    inside h2 ip -o link show | grep -o '^[0-9]*: flannel[^:@]*'
}

packets() {
    inside h1 ip -s -o link show "$1" | sed 's/.*TX:[^0-9]*[0-9]* *\([0-9]*\).*/\1/'
}

through() {
    local before family=${2:-v4}
    before=$(packets "$1")
    inside c1 busybox ping -c 5 -i 0.1 -W 2 "$(other c1 "$family")" >/dev/null
    [ "$(packets "$1")" -ge $((before + 5)) ]
}

logs() {
    local name
    for name in h1 h2; do
        echo "-- netd on $name"
        tail -n 40 "/run/$name/log" || true
    done
}
trap 'failed=$BASH_COMMAND; (logs >&2); (dump >&2); exit 1' ERR
