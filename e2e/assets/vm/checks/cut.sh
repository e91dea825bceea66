# h1's agent makes a tunnel of $backend, and is killed, and separately refused, at every message that changes something
# and every sysctl; then h1 has what it has where nothing happened, object by object.
case $backend in
    ipip)
        links=(flannel.ipip)
        cluster '{"Network": "10.5.0.0/16", "Backend": {"Type": "ipip"}}'
        ;;
    wireguard)
        links=(flannel-wg flannel-wg-v6)
        cluster '{"Network": "10.5.0.0/16", "EnableIPv6": true, "IPv6Network": "fd05::/48",
            "Backend": {"Type": "wireguard", "Mode": "separate",
                "PSK": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", "PersistentKeepaliveInterval": 5}}'
        ;;
esac

# All that netd has made on h1. Numbers of links and what has been said to a peer do not count.
state() {
    local link
    for link in "${links[@]}"; do
        inside h1 ip -d -o link show "$link" | sed 's/^[0-9]*: //'
        inside h1 ip -o address show "$link" | sed 's/^[0-9]*: //'
        case $backend in
            wireguard) inside h1 wg show "$link" dump | awk '{ print $1, $2, $3, $4, $8 }' | sort ;;
        esac
    done
    inside h1 ip route show proto 78
    inside h1 ip -6 route show proto 78
    inside h1 nft list ruleset
    cat /run/h1/flannel/subnet.env
}

right() { ready h1 && [ "$(state 2>&1)" = "$whole" ]; }

ends() {
    kill -9 "${agents[h1]}" 2>/dev/null || true
    wait "${agents[h1]}" || true
}

# Starts the agent on a host without any of it, to be cut like this.
cut() {
    local link
    for link in "${links[@]}"; do inside h1 ip link del "$link" 2>/dev/null || true; done
    inside h1 nft flush ruleset
    rm -f /run/h1/flannel/subnet.env
    as_host h1 env "NETD_INJECT=$1" /opt/e2e/injected run --etcd-endpoints "$store" --iface eth0 \
        --healthz-ip 127.0.0.1 --healthz-port 8081 >/run/h1/cut 2>&1 &
    agents[h1]=$!
}

reached() { grep 'cut at' /run/h1/cut >/dev/null; }

dead() { ! grep '^State:[[:space:]]*[^Z]' "/proc/${agents[h1]}/status" >/dev/null; }

whole=$(state)
ends
cut count
within 60 right
ends
cp /run/h1/cut /run/counted
points=0
for kind in message sysctl; do
    places=$(grep -c "^$kind\$" /run/counted || true)
    echo "$backend: $places of $kind"
    for ((at = 0; at < places; at++)); do
        for way in kill "$([ $((at % 2)) = 0 ] && echo fail || echo break)"; do
            points=$((points + 1))
            case $way in
                kill)
                    cut "$kind:kill:$at"
                    within 60 dead
                    reached
                    ;;
                fail)
                    # It is tried again, and made right, by the same agent.
                    cut "$kind:fail:$at:12"
                    within 60 reached
                    within 60 right
                    ;;
                break)
                    cut "$kind:break:$at:12"
                    within 60 reached
                    ;;
            esac
            ends
            agent h1
            within 60 right || {
                echo "after $kind $at $way:"
                diff <(echo "$whole") <(state) >&2
                false
            }
            ends
        done
    done
done
echo "$backend: $points points"
[ "$points" -ge 8 ]
