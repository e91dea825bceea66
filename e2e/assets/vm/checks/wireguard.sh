# c1 --- h1 ===(WireGuard)=== h2 --- c2, in $mode, with both families
psk=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=
cluster "{\"Network\": \"10.5.0.0/16\", \"EnableIPv6\": true, \"IPv6Network\": \"fd05::/48\",
    \"Backend\": {\"Type\": \"wireguard\", \"Mode\": \"$mode\", \"PSK\": \"$psk\",
        \"PersistentKeepaliveInterval\": 5}}"
inside h1 ip -d link show flannel-wg | tee /run/shown
grep -q 'mtu 1420' /run/shown
grep -q wireguard /run/shown
same "$(stat -c '%a %s' /run/h1/lib/wgkey)" '600 44'
exchange
through flannel-wg
links=(flannel-wg)
case $mode in
    separate)
        links+=(flannel-wg-v6)
        through flannel-wg-v6 v6
        ;;
    *)
        refute inside h1 ip link show flannel-wg-v6
        through flannel-wg v6
        ;;
esac

# What leaves h1 is WireGuard's, to the address that the mode says.
inside h1 nft -f - <<'NFT'
table inet watch {
    counter v4 {}
    counter v6 {}
    counter plain {}
    chain out {
        type filter hook postrouting priority 300
        oifname eth0 ip daddr 192.0.2.2 udp dport 51820 counter name v4
        oifname eth0 ip6 daddr 2001:db8::2 udp dport 51820-51821 counter name v6
        oifname eth0 ip saddr 10.5.0.0/16 counter name plain
        oifname eth0 ip6 saddr fd05::/48 counter name plain
    }
}
NFT
inside c1 busybox ping -c 5 -i 0.1 -W 2 "${v4[c2]}" >/dev/null
inside c1 busybox ping -c 5 -i 0.1 -W 2 "${v6[c2]}" >/dev/null
counted() {
    inside h1 nft list counter inet watch "$1" | grep -o 'packets [0-9]*' | grep -o '[0-9]*'
}
case $mode in
    separate) [ "$(counted v4)" -ge 5 ] && [ "$(counted v6)" -ge 5 ] ;;
    ipv6) [ "$(counted v6)" -ge 10 ] && same "$(counted v4)" 0 ;;
    *) [ "$(counted v4)" -ge 10 ] && same "$(counted v6)" 0 ;;
esac
same "$(counted plain)" 0
inside h1 nft delete table inet watch

# What the kernel has of each device: the key of the file, and of the peer its key, the shared secret and the keep-alive.
secrets() {
    local link
    for link in "${links[@]}"; do
        inside h1 wg show "$link" dump | awk 'NR == 1 { print $1 } NR > 1 { print $1, $2, $8 }'
    done
}
expected() {
    local link
    for link in "${links[@]}"; do
        cat /run/h1/lib/wgkey
        echo
        echo "$(inside h2 wg show "$link" public-key) $1"
    done
}
known=$(expected "$psk 5")
same "$(secrets)" "$known"
survives
same "$(secrets)" "$known"
exchange
through flannel-wg

# A device that somebody removes, and a peer that he removes, come back.
for link in "${links[@]}"; do
    inside h1 ip link del "$link"
    within 10 pings c1 "${v4[c2]}"
    within 10 pings c1 "${v6[c2]}"
done
exchange

# Two subnets of one host are one peer: the second comes and goes, and the first stays.
if [ "$mode" = auto ]; then
    export ETCDCTL_API=3
    subnets=/coreos.com/network/subnets
    own=${v4[c2]%.2}.0-24
    value=$(etcdctl --endpoints "$store" get --prefix "$subnets/$own" --print-value-only)
    etcdctl --endpoints "$store" put "$subnets/10.5.255.0-24&fd05:0:0:ffff::-64" "$value"
    led() { inside h1 ip route show 10.5.255.0/24 | grep -q flannel-wg; }
    within 5 led
    within 2 pings c1 "${v4[c2]}"
    etcdctl --endpoints "$store" del --prefix "$subnets/10.5.255.0-24"
    gone() { ! led; }
    within 5 gone
    within 2 pings c1 "${v4[c2]}"
    within 2 pings c1 "${v6[c2]}"
fi

# The address between hosts, the MTU, and the secret of all hosts change; what has a port stays.
# The kernel takes a peer's networks and gives them back when it is set, each of both families on its own.
moves flannel-wg 1320 2
set_config() {
    /opt/e2e/netd config set --etcd-endpoints "$store" "{\"Network\": \"10.5.0.0/16\",
        \"EnableIPv6\": true, \"IPv6Network\": \"fd05::/48\",
        \"Backend\": {\"Type\": \"wireguard\", \"Mode\": \"$mode\", $1}}"
}
set_config '"MTU": 1390'
within 10 has_mtu flannel-wg 1310
within 5 pings c1 "${v4[c2]}"
within 5 pings c2 "${v6[c1]}"
same "$(secrets)" "$(expected '(none) off')"
set_config '"ListenPort": 51900'
refused() { inside h1 busybox wget -q -O - http://127.0.0.1:8081/readyz | grep 'ListenPort is 51900' >/dev/null; }
within 10 refused
within 5 pings c1 "${v4[c2]}"
within 5 pings c2 "${v6[c1]}"

cleans
