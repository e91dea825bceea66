# c1 --- h1 ===(IPIP)=== h2 --- c2
cluster '{"Network": "10.5.0.0/16", "Backend": {"Type": "ipip"}}'
inside h1 ip -d link show flannel.ipip | tee /run/shown
grep -q 'mtu 1480' /run/shown
grep -q 'ipip.* remote any local 192.0.2.1 ttl inherit' /run/shown
inside h1 ip route show proto 78 | grep -q 'via 192.0.2.2 dev flannel.ipip onlink'
exchange
through flannel.ipip
survives
exchange
through flannel.ipip

# A device that somebody removes or changes comes back, with its routes.
inside h1 ip link del flannel.ipip
within 5 pings c1 "${v4[c2]}"
inside h1 ip link set flannel.ipip type ipip local 192.0.2.77
within 5 pings c1 "${v4[c2]}"
inside h1 ip -d link show flannel.ipip | grep -q 'local 192.0.2.1 '
inside h1 ip route flush proto 78
within 5 pings c1 "${v4[c2]}"
through flannel.ipip

# Until h2 knows, it sends to an address that is no longer the tunnel's.
moves flannel.ipip 1380 5
inside h1 ip -d link show flannel.ipip | grep -q 'local 192.0.2.101 '
inside h2 ip route show proto 78 | grep -q 'via 192.0.2.101 dev flannel.ipip onlink'
config='{"Network": "10.5.0.0/16", "Backend": {"Type": "ipip", "DirectRouting": true}}'
/opt/e2e/netd config set --etcd-endpoints "$store" "$config"
direct() { inside h1 ip route show proto 78 | grep 'via 192.0.2.2 dev eth0' >/dev/null; }
within 10 direct
within 5 pings c1 "${v4[c2]}"

cleans
