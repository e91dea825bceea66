# An encrypted overlay outlives its agents, without a ping lost, and a host that changes its address.
sealed
exchange
before=$(device h1; device h2)
pinging
for name in h1 h2; do
    die "$name"
    back "$name"
done
pinged >/run/pinged
cat /run/pinged
same "$(grep -c ': 0 lost of' /run/pinged)" 2
same "$(device h1; device h2)" "$before"

# Another address between hosts: it is told before the first one is gone. Then less room. The device stays.
told() { ETCDCTL_API=3 etcdctl --endpoints "$store" get --prefix /netd/v1/global/members/ | grep "\"vtep\":\"$1\"" >/dev/null; }
leads() { inside h1 ip -o link show netd-wg | grep "mtu $1 " >/dev/null; }
length=$((under == 4 ? 24 : 64))
pinging
inside h1 sysctl -qw net.ipv4.conf.all.promote_secondaries=1
inside h1 ip address add "$(uplink 101)/$length" dev eth0 $([ "$under" = 4 ] || echo nodad)
inside h1 ip address change "$(uplink 1)/$length" dev eth0 preferred_lft 0
within 40 told "$(uplink 101)"
inside h1 ip address del "$(uplink 1)/$length" dev eth0
within 20 pings c1 "${v4[c2]}"
pinged >/run/pinged
echo "another address:"
cat /run/pinged
most=$(awk '{ if ($2 > most) most = $2 } END { print most + 0 }' /run/pinged)
[ "$most" -le 20 ]
within 20 pings c1 "${v4[c2]}"
within 20 pings c2 "${v6[c1]}"
inside h1 ip link set eth0 mtu 1480
within 20 leads $((under == 4 ? 1420 : 1400))
same "$(device h1; device h2)" "$before"
within 10 pings c1 "${v4[c2]}"
