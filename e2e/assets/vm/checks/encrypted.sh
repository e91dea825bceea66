# c1 --- h1 ===(VXLAN in WireGuard)=== h2 --- c2: nothing of what containers say is seen between hosts, whatever
# happens to the device that encrypts, which goes with the last container.
sealed
exchange
same "$(netd h2 inspect sealed | grep -c '"encrypted": ""')" 1
same "$(stat -c '%a %s' /run/h1/lib/overlay-wgkey)" '600 44'
case $under in 4) mtu=1370 ;; 6) mtu=1350 ;; esac
same "$(cat_mtu c1)" "$mtu"
same "$(inside h1 wg show netd-wg peers)" "$(inside h2 wg show netd-wg public-key)"
same "$(inside h1 wg show netd-wg allowed-ips | cut -f2)" "$(inner h2)/128"
same "$(inside h1 wg show netd-wg endpoints | cut -f2 | tr -d '[]')" "$(uplink 2):51822"

# On the wire there is WireGuard, and neither VXLAN nor a byte of what is said, or to whom; in the container there is.
watch wire host port-h1 not tcp
watch in c2 eth0 udp port 9000
says() {
    local at
    for at in "${v4[c2]}" "[${v6[c2]}]"; do
        echo "$marker" | inside c1 socat -u - "UDP-DATAGRAM:$at:9000"
    done
}
says
within 10 catches in 2
within 10 catches wire 2 udp port 51822
exchange
same "$(caught wire udp port 4789)" 0
grep "$marker" /run/in.pcap >/dev/null
refute grep "$marker" /run/wire.pcap
# The address as in headers of IPv4, and the beginning of one of IPv6.
# shellcheck disable=SC2086
header=$(printf '%02x%02x%02x%02x' ${v4[c2]//./ })
bytes /run/in.pcap | grep "$header" >/dev/null
bytes /run/in.pcap | grep fd07000000000000 >/dev/null
refute eval 'bytes /run/wire.pcap | grep -E "$header|fd07000000000000"'

# Set down it is up again, removed it is made again, and on the way nothing is clear.
inside h1 ip link set netd-wg down
says
within 10 pings c1 "${v4[c2]}"
inside h1 ip -6 address flush dev netd-wg
says
within 10 pings c1 "${v4[c2]}"
inside h1 wg set netd-wg peer "$(inside h2 wg show netd-wg public-key)" remove
inside h1 ip link del netd-wg
says
within 20 pings c1 "${v4[c2]}"
within 20 pings c2 "${v6[c1]}"
inside h1 nft flush ruleset
within 10 pings c1 "${v4[c2]}"
exchange
same "$(caught wire udp port 4789)" 0
refute grep "$marker" /run/wire.pcap

# With the last container goes what encrypts; the other host forgets this one.
netd h1 disconnect sealed netns:/run/netns/c1
within 10 refute inside h1 ip link show netd-wg >/dev/null
same "$(find /run/h1/netd/netns -type f | wc -l)" 0
refute eval 'inside h1 nft list set inet netd sealed_vnis | grep comment'
forgotten() { [ -z "$(inside h2 wg show netd-wg peers)" ]; }
within 10 forgotten
netd h2 disconnect sealed netns:/run/netns/c2
within 10 refute inside h2 ip link show netd-wg >/dev/null
netd h2 rm sealed >/dev/null
