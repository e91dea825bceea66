# Two hosts with netd, a switch between them and etcd on it, a container on each: what the checks of
# tunnels begin with.
#
#     cluster CONFIG           writes CONFIG into etcd, starts netd on hosts h1 and h2, and waits
#     agent HOST               starts netd there; its process is ${agents[HOST]}
#     member HOST CONTAINER    a container on the host's subnet; its addresses are ${v4[CONTAINER]}
#                              and ${v6[CONTAINER]}
#     exchange                 ping and TCP both ways between c1 and c2, over each family there is
#     survives                 kills netd on both hosts and starts it again, while pings go on both
#                              ways: none may be lost, and the new agents find nothing to change
#     cleans                   netd cleanup takes away all that netd has made on h1
#     through DEVICE           what c1 and c2 say to each other goes through this device of h1
declare -A agents v4 v6
store=http://192.0.2.254:2379
dual=

cluster() {
    local name number=0
    ip link add br0 type bridge
    ip address add 192.0.2.254/24 dev br0
    ip link set br0 up
    etcd --data-dir /run/etcd --listen-client-urls "$store" --advertise-client-urls "$store" \
        --listen-peer-urls http://192.0.2.254:2380 >/run/etcd.log 2>&1 &
    container h1 h2 c1 c2
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

survives() {
    local name before others=()
    before=$(devices; differed)
    # 15 s, in which both agents die and are ready again.
    for name in c1 c2; do
        inside "$name" busybox ping -i 0.1 -c 150 -W 5 "$(other "$name" v4)" >"/run/pings-$name" 2>&1 &
        others+=($!)
        [ -n "$dual" ] || continue
        inside "$name" busybox ping -i 0.1 -c 150 -W 5 "$(other "$name" v6)" >"/run/pings6-$name" 2>&1 &
        others+=($!)
    done
    for name in h1 h2; do
        kill -9 "${agents[$name]}"
        wait "${agents[$name]}" || true
        inside "$name" busybox wget -q -O - http://127.0.0.1:8081/readyz && false
        agent "$name"
    done
    for name in h1 h2; do within 30 ready "$name"; done
    kill -0 "${others[0]}" || { echo "the pings ended before the agents were back" >&2; return 1; }
    wait "${others[@]}" || true
    grep -h transmitted /run/pings*
    refute grep -L ' 0% packet loss' /run/pings*
    same "$(devices; differed)" "$before"
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
        tail -n 40 "/run/$name/log"
    done
}
trap 'failed=$BASH_COMMAND; (logs >&2); (dump >&2); exit 1' ERR
